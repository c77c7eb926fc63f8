"""The direction of dependencies (DESIGN, "Rooms"), read from the imports with `ast`."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sympe

ROOT = Path(sympe.__file__).parent
CHAIN = ("randomness", "tolerance", "groups", "actions", "graphs", "kernels", "encodings")
BRACES = ("answers", "diffusion", "files", "integrations", "report", "theory")  # see the chain, not each other
BACKBONES = ("nn", "testing")  # see groups and actions only
SEES: dict[str, set[str]] = {
    **{room: set(CHAIN[:i]) for i, room in enumerate(CHAIN)},
    **{room: {"randomness", "tolerance", "groups", "actions"} for room in BACKBONES},
    "losses": {*CHAIN} - {"encodings"},
    **{room: {*CHAIN, "losses", *BACKBONES} for room in BRACES},
    "experiments": {*CHAIN, "losses", *BACKBONES, *BRACES},
    "cli": {*CHAIN, "losses", *BACKBONES, *BRACES, "experiments"},
    "__main__": {"cli"},
    "": set(CHAIN),  # sympe/__init__.py
}
THIRD_PARTIES_OF_THE_CORE = {"torch", "numpy", "jaxtyping"}
CATALOGUE = "sympe.experiments.catalogue"  # the list of experiments, which no experiment sees
CORE = {"", *CHAIN, *BACKBONES, "losses", "answers", "report", "diffusion", "theory"}
OPTIONAL = {  # the doors to a third party that few need: hard graphs, and assignments
    ("sympe.kernels.graphs.bliss", "igraph"),
    ("sympe.losses.assignment", "scipy"),
}


def room(module: str) -> str:
    """The room of `sympe.room.file`; experiments are rooms of their own, and their shared parts are one."""
    parts = module.split(".")[1:]
    return parts[0] if parts else ""


def experiment(module: str, experiments: set[str]) -> str | None:
    """The experiment that a module belongs to, None for shared parts."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["sympe", "experiments"] and len(parts) > 2 and parts[2] in experiments else None


def imports(tree: ast.AST, module: str) -> Iterator[tuple[str, int, bool]]:
    """Every imported module, its line, and whether the import hides in a function."""

    def visit(node: ast.AST, hidden: bool) -> Iterator[tuple[str, int, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield alias.name, child.lineno, hidden
            elif isinstance(child, ast.ImportFrom):
                if child.level:
                    yield f"relative import in {module}", child.lineno, hidden
                elif child.module == "sympe":  # `from sympe import kernels` imports a room
                    for alias in child.names:
                        yield f"sympe.{alias.name}", child.lineno, hidden
                elif child.module is not None:
                    for alias in child.names:
                        yield f"{child.module}.{alias.name}", child.lineno, hidden
            elif isinstance(child, ast.Call) and getattr(child.func, "id", getattr(child.func, "attr", "")) in (
                "__import__",
                "import_module",
            ):
                yield "import by name", child.lineno, hidden
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from visit(child, hidden or inside)

    yield from visit(tree, False)


def violations(sources: dict[str, str]) -> list[str]:
    """What is wrong in modules given by name and source."""
    experiments = {
        name.split(".")[2] for name in sources if name.startswith("sympe.experiments.") and name.count(".") > 2
    }
    wrong = []
    for module, source in sources.items():
        here = room(module)
        for target, line, hidden in imports(ast.parse(source), module):
            where = f"{module}:{line}"
            # experiments and the command may put off a slow third party, never a room of ours
            if (module, target.split(".")[0]) in OPTIONAL and hidden:
                continue
            if hidden and (here in CORE or target.startswith("sympe")):
                wrong.append(f"{where}: {target} is imported inside a function")
            if target.startswith(("relative import", "import by name")):
                wrong.append(f"{where}: {target}")
            elif target.split(".")[0] == "sympe":
                there = room(target)
                if here not in SEES:
                    wrong.append(f"{where}: {module} is in no known room")
                elif there in SEES and there != here and there not in SEES[here]:
                    wrong.append(f"{where}: {here or 'sympe'} must not see {there or 'sympe'}")
                mine, theirs = experiment(module, experiments), experiment(target, experiments)
                if here == "experiments" and target.startswith(CATALOGUE):
                    wrong.append(f"{where}: experiments must not see their list")
                if here == "experiments" and theirs is not None and mine != theirs and module != CATALOGUE:
                    wrong.append(f"{where}: {mine or 'the shared parts'} must not see the experiment {theirs}")
            elif here in CORE and target.split(".")[0] not in sys.stdlib_module_names | THIRD_PARTIES_OF_THE_CORE:
                wrong.append(f"{where}: the core must not need {target.split('.')[0]}")
    return wrong


def sources() -> dict[str, str]:
    modules = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ("sympe", *path.relative_to(ROOT).with_suffix("").parts)
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return modules


def test_nothing_imports_upward_or_inside_a_function() -> None:
    assert violations(sources()) == []


def test_every_room_is_known_and_the_core_is_there() -> None:
    modules = sources()
    rooms = {room(module) for module in modules}
    assert rooms <= set(SEES)
    assert {"", *CHAIN, *BACKBONES, "losses"} <= rooms
    assert all(len(source) > 0 for module, source in modules.items() if room(module) in CORE)


TWINS = [
    ({"sympe.groups.a": "from sympe.actions import Action"}, "groups must not see actions"),
    ({"sympe.groups.a": "import sympe.kernels.finite.orbit"}, "groups must not see kernels"),
    ({"sympe.actions.a": "from sympe import kernels"}, "actions must not see kernels"),
    ({"sympe.actions.a": "from sympe import SymPE"}, None),  # a name of the front door; no room is called so
    ({"sympe.kernels.a": "from sympe.encodings.sympe import SymPE"}, "kernels must not see encodings"),
    ({"sympe.kernels.a": "from sympe.nn import P4MNet"}, "kernels must not see nn"),
    ({"sympe.nn.a": "from sympe.kernels import OrbitKernel"}, "nn must not see kernels"),
    ({"sympe.testing": "from sympe.kernels import Kernel"}, "testing must not see kernels"),
    ({"sympe.testing": "import sympe.nn"}, "testing must not see nn"),
    ({"sympe.losses.a": "from sympe.encodings import SymPE"}, "losses must not see encodings"),
    ({"sympe.losses.a": "import sympe.nn"}, "losses must not see nn"),
    ({"sympe.encodings.a": "from sympe.losses import orbit_minimum"}, "encodings must not see losses"),
    ({"sympe.losses.a": "from sympe.kernels import Kernel"}, None),
    ({"sympe.losses.assignment": "def f():\n    from scipy.optimize import milp"}, None),
    ({"sympe.losses.assignment": "from scipy.optimize import milp"}, "the core must not need scipy"),
    ({"sympe.losses.orbit": "import scipy"}, "the core must not need scipy"),
    ({"sympe.report": "from sympe.losses import orbit_minimum"}, None),
    ({"sympe.encodings.a": "import sympe.diffusion"}, "encodings must not see diffusion"),
    ({"sympe.diffusion.a": "import sympe.report"}, "diffusion must not see report"),
    ({"sympe.integrations.a": "from sympe.diffusion import x"}, "integrations must not see diffusion"),
    ({"sympe.files.a": "from sympe.integrations.pyg import to_graphs"}, "files must not see integrations"),
    ({"sympe.encodings.a": "import sympe.files"}, "encodings must not see files"),
    ({"sympe.report": "import sympe.experiments.runs"}, "report must not see experiments"),
    ({"sympe.experiments.runs": "import sympe.cli"}, "experiments must not see cli"),
    ({"sympe": "from sympe.experiments.ising import x"}, "sympe must not see experiments"),
    ({"sympe": "import lightning"}, "the core must not need lightning"),
    ({"sympe.kernels.a": "import igraph"}, "the core must not need igraph"),
    ({"sympe.kernels.graphs.bliss": "import igraph"}, "the core must not need igraph"),
    ({"sympe.kernels.graphs.bliss": "def f():\n    import igraph"}, None),
    ({"sympe.graphs.a": "import sympe.kernels"}, "graphs must not see kernels"),
    ({"sympe.nn.a": "from scipy.optimize import milp"}, "the core must not need scipy"),
    ({"sympe.encodings.a": "def f():\n    from sympe.kernels import Kernel"}, "is imported inside a function"),
    ({"sympe.report": "class A:\n    def f(self):\n        import torch"}, "is imported inside a function"),
    ({"sympe.experiments.runs": "def f():\n    import submitit"}, None),
    ({"sympe.experiments.runs": "def f():\n    import sympe.kernels"}, "is imported inside a function"),
    ({"sympe.__main__": "import sympe.experiments"}, "__main__ must not see experiments"),
    ({"sympe.cli": "def main():\n    if True:\n        import sympe.groups"}, "is imported inside a function"),
    ({"sympe.cli": "MAIN = __import__('sympe.groups')"}, "import by name"),
    ({"sympe.kernels.a": "import importlib\nimportlib.import_module('sympe.nn')"}, "import by name"),
    ({"sympe.kernels.a": "class A:\n    import sympe.encodings"}, "kernels must not see encodings"),
    ({"sympe.kernels.a": "try:\n    import sympe.encodings\nexcept ImportError: pass"}, "must not see encodings"),
    ({"sympe.kernels.a": "from ..encodings import SymPE"}, "relative import"),
    ({"sympe.attic.a": "import sympe.groups"}, "sympe.attic.a is in no known room"),
    (
        {"sympe.experiments.one.a": "from sympe.experiments.two.b import x", "sympe.experiments.two.b": ""},
        "one must not see the experiment two",
    ),
    (
        {"sympe.experiments.one.a": "from sympe.experiments import two", "sympe.experiments.two.b": ""},
        "one must not see the experiment two",
    ),
    (
        {"sympe.experiments.runs": "from sympe.experiments.one.a import x", "sympe.experiments.one.a": ""},
        "the shared parts must not see the experiment one",
    ),
    ({CATALOGUE: "from sympe.experiments.one.a import x", "sympe.experiments.one.a": ""}, None),
    ({"sympe.experiments.runs": f"import {CATALOGUE}"}, "experiments must not see their list"),
    ({"sympe.experiments.one.a": f"from {CATALOGUE} import EXPERIMENTS"}, "experiments must not see their list"),
    ({"sympe.experiments.one.a": "from sympe.experiments.one.b import x", "sympe.experiments.one.b": ""}, None),
    ({"sympe.experiments.one.a": "from sympe.experiments.runs import x\nimport lightning"}, None),
    ({"sympe.cli": "from sympe.experiments.one import x"}, None),
    ({"sympe.encodings.a": "import math\nfrom torch import nn\nfrom sympe.encodings.base import Encoding"}, None),
]


@pytest.mark.parametrize(("fabricated", "message"), TWINS)
def test_fabricated_violations_are_reported_and_nothing_else(fabricated: dict[str, str], message: str | None) -> None:
    found = violations(fabricated)
    if message is None:
        assert found == []
    else:
        assert len(found) == 1
        assert message in found[0]


@pytest.mark.slow
def test_importing_the_library_loads_no_experiment_and_no_optional_dependency() -> None:
    optional = ["lightning", "matplotlib", "scipy", "submitit", "torchmetrics", "tyro", "igraph", "pytest", "beartype"]
    code = (
        "import sys, sympe, sympe.groups, sympe.actions, sympe.testing, sympe.nn\n"
        f"loaded = [m for m in {optional} if m in sys.modules]\n"
        "loaded += [m for m in sys.modules if m.startswith(('sympe.experiments', 'sympe.cli'))]\n"
        "print(loaded)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_there() -> None:
    assert set(sympe.__all__) <= set(dir(sympe))
    for name in ("groups", "actions", "kernels", "encodings", "losses", "nn", "testing"):
        module = sys.modules.get(f"sympe.{name}") or __import__(f"sympe.{name}", fromlist=["*"])
        assert set(module.__all__) <= set(dir(module))
        assert module.__doc__

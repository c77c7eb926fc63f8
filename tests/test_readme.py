"""The Python of the README and of the chapters runs as it stands."""

import ast
import re
from pathlib import Path

import pytest
import torch

README = Path(__file__).parent.parent / "README.md"


def run_blocks(path: Path, count: int) -> tuple[dict[str, object], list[object]]:
    """The names that the blocks leave, and the values of their lines that are expressions."""
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(), flags=re.DOTALL)
    assert len(blocks) == count
    names: dict[str, object] = {}
    values = []
    for statement in ast.parse("".join(blocks)).body:
        if isinstance(statement, ast.Expr):
            values.append(eval(compile(ast.Expression(statement.value), str(path), "eval"), names))
        else:
            exec(compile(ast.Module([statement], []), str(path), "exec"), names)  # the point is to run it
    return names, values


def test_the_chapter_on_the_theorem_says_what_comes_out():
    _, values = run_blocks(README.parent / "docs" / "theory.md", 5)
    coin = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    theorem = [0.0, torch.ones(1), coin, torch.tensor([2.0]), 0.0, 1.0]
    rest = [False, True, 4, torch.tensor([2.0]), torch.tensor([True, False, True, False])]
    expected = [*theorem, *rest]
    for value, right in zip(values, expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(value).double(), torch.as_tensor(right).double())


def test_numbers_on_graphs_go_to_canonical_form_and_back():
    names, _ = run_blocks(README.parent / "docs" / "method.md", 1)
    assert sorted(names["y"][0, :, 0].tolist()) == [1.0, 2.0, 3.0, 4.0]  # each node has its place


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # torch's own
@pytest.mark.usefixtures("unchecked")  # what compilers trace
def test_the_chapter_on_trainings_runs(capsys: pytest.CaptureFixture[str]):
    torch._dynamo.reset()
    names, _ = run_blocks(README.parent / "docs" / "modules.md", 10)
    assert "(tolerance: 1e-06 there, 0.1 here)" in capsys.readouterr().out
    assert not torch.equal(names["first"], names["second"])  # type: ignore[arg-type]
    model = torch.compile(names["encoding"], fullgraph=True, backend="eager")  # type: ignore[call-overload]
    with pytest.raises(torch._dynamo.exc.Unsupported):
        model(names["x"])


@pytest.mark.slow
def test_python_blocks_run_in_order():
    names, _ = run_blocks(README, 4)

    assert names["model"](torch.ones(2, 3, 10, 10)).shape == (2, 1, 10, 10)  # type: ignore[operator]
    assert float(names["lattice"].entropy(names["x"]).exp()) > 799  # type: ignore[attr-defined]
    h = names["h"]
    assert isinstance(h, torch.Tensor)
    assert h.shape == (4, 32)
    assert float((h[0] - h[1]).detach().abs().max()) > 1e-3  # the nodes of the square are told apart
    features = names["features"]
    assert isinstance(features, torch.Tensor)
    assert features.shape == (4, 16)


def test_linked_files_exist():
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text())
    assert links
    missing = [link for link in links if not link.startswith("http") and not (README.parent / link).exists()]
    assert missing == []

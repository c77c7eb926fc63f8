"""The ``sympe`` command: parses and calls."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro
from tqdm import tqdm

from sympe.experiments import runs
from sympe.experiments.autoencoder import compare as autoencoder
from sympe.experiments.autoencoder.check import check_run as check_autoencoder
from sympe.experiments.autoencoder.config import AutoencoderConfig, Backbone, Dataset
from sympe.experiments.autoencoder.config import Encoding as AutoencoderEncoding
from sympe.experiments.generalization import compare as generalization
from sympe.experiments.generalization.config import Encoding as GeneralizationEncoding
from sympe.experiments.generalization.config import Part
from sympe.experiments.ising import compare as ising
from sympe.experiments.ising.check import check_run as check_ising
from sympe.experiments.ising.config import Encoding as IsingEncoding
from sympe.experiments.ising.config import IsingConfig, Variant
from sympe.experiments.molecules.config import Dataset as MoleculeDataset
from sympe.experiments.molecules.config import Encoding as MoleculesEncoding
from sympe.experiments.molecules.config import MoleculesConfig, Transition
from sympe.experiments.report import draw_report, inputs_of
from sympe.integrations.files import Options
from sympe.report import symmetry_report

try:  # the extra "molecules" may be missing; the commands that need it say so
    from sympe.experiments.molecules import compare as molecules
    from sympe.experiments.molecules.check import check_run as check_molecules
    from sympe.experiments.molecules.sampling import sample_to
except ModuleNotFoundError as error:
    MISSING: str | None = error.name
else:
    MISSING = None


def need_molecules() -> None:
    """Refuse to go on without the extra.

    Raises:
        ImportError: names what is missing, and the extra.
    """
    if MISSING is not None:
        raise ImportError(f"molecules need the package {MISSING}: pip install 'sympe[molecules]'")


def experiment_of(run: Path) -> Literal["ising", "autoencoder", "molecules"]:
    """The experiment of a run directory, by its config; of what is none, the first, which says so."""
    config = run / "config.json"
    keys = runs.read_json(config).keys() if config.exists() else ()
    if "transition" in keys:
        need_molecules()
        return "molecules"
    return "autoencoder" if "backbone" in keys else "ising"


def need_molecules_for(arguments: str, run: Path, experiment: str) -> None:
    """Refuse arguments that only runs of molecules have.

    Raises:
        ValueError: if it is a run of another experiment; names the arguments.
    """
    if experiment != "molecules" and (run / "config.json").exists():
        raise ValueError(f"{arguments}: only for runs of molecules, got a run of {experiment}")


@dataclass
class Compare:
    """What all comparisons take."""

    preset: Literal["smoke", "demo", "full"] = "demo"
    """smoke: does everything run; demo: minutes, a few encodings; full: every row of results/."""
    seeds: int | None = None
    """Seeds 0 .. N-1, instead of the preset's."""
    out: Path | None = None
    """Where everything goes; runs/EXPERIMENT-PRESET by default."""
    jobs: int = 2
    """Rows trained at once on this machine."""
    cluster: Literal["slurm", "local", "debug"] | None = None
    """Train the rows as submitit jobs instead."""
    cluster_options: dict[str, str] = field(default_factory=dict)
    """Parameters of the submitit executor, e.g. timeout_min 60 slurm_partition gpu."""
    report_only: bool = False
    """Train nothing; write table and figures of the rows that are there."""

    def run(self, name: str, compare: Callable[..., Any], **choices: Any) -> None:
        """Run the comparison and print its table."""
        out = self.out or Path("runs") / f"{name}-{self.preset}"
        compare(
            self.preset,
            out,
            seeds=self.seeds,
            jobs=self.jobs,
            cluster=self.cluster,
            cluster_options={k: int(v) if v.isdigit() else v for k, v in self.cluster_options.items()},
            train_missing=not self.report_only,
            **choices,
        )
        print((out / "table.md").read_text())
        print("\n".join(str(path) for path in [out / "summary.json", out / "table.md", *sorted(out.glob("*.png"))]))


@dataclass
class CompareIsing(Compare):
    """Compare encodings on Ising ground states: train the missing rows, then table, summary and figures."""

    encodings: tuple[IsingEncoding, ...] | None = None
    """Only these, instead of the preset's."""
    variant: Variant | None = None
    """Distribution of Hamiltonians, instead of the preset's."""
    size: int | None = None
    """Side L of the lattice, instead of the preset's."""

    def __call__(self) -> None:
        """Run the comparison and print its table."""
        self.run("ising", ising.compare, encodings=self.encodings, variant=self.variant, size=self.size)


@dataclass
class CompareAutoencoder(Compare):
    """Compare encodings on graph autoencoding: train the missing rows, then table, summary and figures."""

    encodings: tuple[AutoencoderEncoding, ...] | None = None
    """Only these, instead of the preset's."""
    dataset: Dataset | None = None
    """Only these graphs."""
    backbone: Backbone | None = None
    """Only this network."""

    def __call__(self) -> None:
        """Run the comparison and print its table."""
        choices = {"encodings": self.encodings, "dataset": self.dataset, "backbone": self.backbone}
        self.run("autoencoder", autoencoder.compare, **choices)


@dataclass
class CompareGeneralization(Compare):
    """Compare what encodings cost in data: exact risks, least squares and small networks; table, summary, figures."""

    encodings: tuple[GeneralizationEncoding, ...] | None = None
    """Only these, instead of the preset's."""
    part: Part | None = None
    """Only this part."""

    def __call__(self) -> None:
        """Run the comparison and print its table."""
        self.run("generalization", generalization.compare, encodings=self.encodings, part=self.part)


@dataclass
class CompareMolecules(Compare):
    """Compare encodings on molecule generation: train the missing rows, then table, summary and figures."""

    preset: Literal["smoke", "demo", "full", "gpu"] = "demo"  # type: ignore[assignment]
    """As for the other experiments, and gpu: the network of DiGress."""
    encodings: tuple[MoleculesEncoding, ...] | None = None
    """Only these, instead of the preset's."""
    dataset: MoleculeDataset = "qm9"
    """The molecules."""
    transition: Transition | None = None
    """Towards what the noise goes, instead of the preset's."""
    data: Path | None = None
    """A wheel, a folder or a file with the molecules; by default the installed package."""

    def __call__(self) -> None:
        """Run the comparison and print its table."""
        need_molecules()
        choices = {"encodings": self.encodings, "dataset": self.dataset, "transition": self.transition}
        self.run("molecules", molecules.compare, data=self.data, **choices)


@dataclass
class Train:
    """What all trainings take."""

    accelerator: str = "auto"
    """Lightning's accelerator: auto, cpu, gpu, ..."""
    devices: int = 1
    """Devices a node; more than one trains by DDP."""
    num_nodes: int = 1
    """Nodes."""

    def run(self, train_row: Callable[..., dict[str, Any] | None], config: Any, out: Path) -> None:
        """Train, evaluate and print the row."""
        row = train_row(
            config,
            out,
            None,
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.num_nodes,
            progress_bar=True,
        )
        if row is not None:
            print(json.dumps(row, indent=1))


@dataclass
class TrainIsing(Train):
    """Train one model on the energy of Ising configurations, or go on where it stopped."""

    config: Annotated[IsingConfig, tyro.conf.arg(name="")] = field(default_factory=IsingConfig)
    out: Path = Path("runs/ising")
    """The run directory is OUT/runs/NAME."""

    def __call__(self) -> None:
        """Train, evaluate and print the row."""
        self.run(ising.train_row, self.config, self.out)


@dataclass
class TrainAutoencoder(Train):
    """Train one graph autoencoder, or go on where it stopped."""

    config: Annotated[AutoencoderConfig, tyro.conf.arg(name="")] = field(default_factory=AutoencoderConfig)
    out: Path = Path("runs/autoencoder")
    """The run directory is OUT/runs/NAME."""

    def __call__(self) -> None:
        """Train, evaluate and print the row."""
        self.run(autoencoder.train_row, self.config, self.out)


@dataclass
class TrainMolecules(Train):
    """Train one denoiser of molecules, or go on where it stopped."""

    config: Annotated[MoleculesConfig, tyro.conf.arg(name="")] = field(default_factory=MoleculesConfig)
    out: Path = Path("runs/molecules")
    """The run directory is OUT/runs/NAME."""
    data: Path | None = None
    """A wheel, a folder or a file with the molecules; by default the installed package."""

    def __call__(self) -> None:
        """Train, evaluate and print the row."""
        need_molecules()
        self.run(partial(molecules.train_row, data=self.data), self.config, self.out)


@dataclass
class Evaluate:
    """Evaluate a run directory: the last checkpoint, or the best where the experiment keeps it."""

    run: tyro.conf.Positional[Path]
    """A run directory, DIR/runs/NAME."""
    nll_draws: int = 1
    """Molecules only: draws of the encoding in each step of the bound."""
    data: Path | None = None
    """Molecules only: a wheel, a folder or a file with them; by default the installed package."""

    def __call__(self) -> None:
        """Print the metrics."""
        experiment = experiment_of(self.run)
        if self.nll_draws != 1 or self.data is not None:
            need_molecules_for("nll_draws, data", self.run, experiment)
        if experiment == "molecules":
            found = molecules.evaluate_run(self.run, draws=self.nll_draws, data=self.data)
        elif experiment == "autoencoder":
            found = autoencoder.evaluate_run(self.run)
        else:
            found = ising.evaluate_run(self.run)
        print(json.dumps(found, indent=1))


@dataclass
class Check:
    """Test whether the models of run directories are equivariant in distribution; status 1 if one is not."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run directories, DIR/runs/NAME."""
    inputs: int = 4
    """Test inputs that are tried, symmetric ones where there are."""
    elements: int = 8
    """Group elements that are tried on each."""
    samples: int = 100
    """Samples on each side of a comparison."""
    level: float = 1e-3
    """Probability of rejecting any of the models, if all are equivariant: each has its share."""
    tolerance: float = 1e-3
    """Outcomes (spins, probabilities) that differ by no more are the same: single precision rounds."""
    seed: int = 0
    """Of all draws."""
    data: Path | None = None
    """Molecules only: a wheel, a folder or a file with them; by default the installed package."""

    def __call__(self) -> None:
        """Test, and print the verdicts."""
        if not self.runs:
            raise ValueError("runs: expected at least one run directory")
        if not 0 < self.level < 1:
            raise ValueError(f"level: expected a probability between 0 and 1, got {self.level}")
        if self.inputs < 1:
            raise ValueError(f"inputs: expected at least 1, got {self.inputs}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed: expected at least 0 and less than 2^63, got {self.seed}")
        rejected = [self.rejects(run, self.level / len(self.runs)) for run in self.runs]
        if any(rejected):
            sys.exit(1)

    def rejects(self, run: Path, level: float) -> bool:
        """Test one model, and print the verdict."""
        options: dict[str, Any] = {
            "inputs": self.inputs,
            "max_elements": self.elements,
            "samples": self.samples,
            "permutations": max(1999, math.ceil(2 / level)),
            "level": level,
            "tolerance": self.tolerance,
            "generator": torch.Generator().manual_seed(self.seed),
            "progress": partial(tqdm, desc=run.name, delay=5, leave=False),
        }
        experiment = experiment_of(run)
        if self.data is not None:
            need_molecules_for("data", run, experiment)
        if experiment == "molecules":
            found = check_molecules(run, data=self.data, **options)
        elif experiment == "autoencoder":
            found = check_autoencoder(run, **options)
        else:
            found = check_ising(run, **options)
        print(f"{run.name}: {found.verdict}", flush=True)
        return found.rejected


@dataclass
class Sample:
    """Draw molecules from a trained model: molecules.smi, molecules.png and metrics.json."""

    model: tyro.conf.Positional[str]
    """A run directory, a model file, or the name of a model that comes with the package."""
    count: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 100
    """How many."""
    out: Path | None = None
    """Where everything goes; runs/sample-MODEL by default."""
    steps: int | None = None
    """Reverse steps; 100 by default, or all noise levels if there are fewer."""
    seed: int = 0
    """Of the draws."""
    fcd: bool = False
    """Compute the Fréchet ChemNet distance to the test set, too."""
    data: Path | None = None
    """A wheel, a folder or a file with the molecules; by default the installed package."""

    def __call__(self) -> None:
        """Draw, write, and print the metrics."""
        need_molecules()
        out = self.out or Path("runs") / f"sample-{Path(self.model).name}"
        metrics = sample_to(self.model, self.count, out, steps=self.steps, seed=self.seed, data=self.data, fcd=self.fcd)
        print(json.dumps(metrics, indent=1))
        print("\n".join(str(path) for path in sorted(out.glob("m*.*"))))


@dataclass
class Report:
    """How symmetric is this data, and do its targets need symmetry breaking?

    Reads PyG data (.pt, a pickle: open only what you trust), graph6 and sparse6 (.g6, .s6), SMILES (.smi, .csv),
    GraphML (.graphml), edge lists (.edgelist, .txt) and fields on periodic lattices (.npz, array "fields": three
    channels are the bonds and the field of an Ising Hamiltonian).
    """

    data: tyro.conf.Positional[tuple[Path, ...]]
    """The files; together they are one data set."""
    options: Annotated[Options, tyro.conf.arg(name="")] = field(default_factory=Options)
    out: Path | None = None
    """Where report.md, report.json and report.png go; runs/report-NAME by default, by the first file."""

    def __call__(self) -> None:
        """Read, report, draw."""
        if not self.data:
            raise ValueError("data: expected at least one file")
        out = self.out or Path("runs") / f"report-{self.data[0].stem}"
        if out.is_file():
            raise ValueError(f"out: expected a folder, got the file {out}")
        title = ", ".join(path.name for path in self.data)
        found = symmetry_report(inputs_of(self.data, self.options))
        if not found.log_orders:
            raise ValueError(f"data: nothing in {title} could be read\n" + found.markdown())
        runs.write_json(out / "report.json", {"data": [str(path) for path in self.data], **found.summary()})
        runs.write_text(out / "report.md", f"# Symmetries of {title}\n\n" + found.markdown())
        draw_report(found, title, out / "report.png")
        print((out / "report.md").read_text())
        print("\n".join(str(out / name) for name in ("report.json", "report.md", "report.png")))


COMMANDS: dict[str, Callable[..., Any]] = {
    "compare ising": CompareIsing,
    "compare autoencoder": CompareAutoencoder,
    "compare molecules": CompareMolecules,
    "compare generalization": CompareGeneralization,
    "train ising": TrainIsing,
    "train autoencoder": TrainAutoencoder,
    "train molecules": TrainMolecules,
    "evaluate": Evaluate,
    "check": Check,
    "sample": Sample,
    "report": Report,
}


def main() -> None:
    """Parse the command line and run.

    Errors of the user's input, and files that cannot be read or written, end with one line and status 2; rows that
    failed end a comparison with status 1.
    """
    words = sys.argv[1:]
    if words == ["--version"]:
        print(f"sympe {version('sympe')}")
        return
    if " ".join(words[:2]) in COMMANDS:
        words = [" ".join(words[:2]), *words[2:]]
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            COMMANDS, prog="sympe", description="Break symmetries without giving up equivariance.", args=words
        )  # a config refuses numbers out of range as it is made
        command()
    except runs.RowsFailedError as error:
        print(f"sympe: {error}", file=sys.stderr)
        sys.exit(1)
    except (ValueError, OSError, ImportError) as error:
        print(f"sympe: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("sympe: stopped; a training goes on when the command is given again", file=sys.stderr)
        sys.exit(130)

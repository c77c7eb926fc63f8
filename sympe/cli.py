"""The ``sympe`` command: parses and calls."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from sympe.experiments.ising.compare import compare, evaluate_run, train_row
from sympe.experiments.ising.config import Encoding, IsingConfig, Preset, Variant


@dataclass
class CompareIsing:
    """Compare encodings on Ising ground states: train the missing rows, then table, summary and figures."""

    preset: Preset = "demo"
    """smoke: seconds; demo: minutes, four encodings; full: every row of results/ising."""
    encodings: tuple[Encoding, ...] | None = None
    """Only these, instead of the preset's."""
    seeds: int | None = None
    """Seeds 0 .. N-1, instead of the preset's."""
    variant: Variant | None = None
    """Distribution of Hamiltonians, instead of the preset's."""
    size: int | None = None
    """Side L of the lattice, instead of the preset's."""
    out: Path | None = None
    """Where everything goes; runs/ising-PRESET by default."""
    jobs: int = 2
    """Rows trained at once on this machine."""
    cluster: Literal["slurm", "local", "debug"] | None = None
    """Train the rows as submitit jobs instead."""
    cluster_options: dict[str, str] = field(default_factory=dict)
    """Parameters of the submitit executor, e.g. timeout_min 60 slurm_partition gpu."""
    report_only: bool = False
    """Train nothing; write table and figures of the rows that are there."""

    def __call__(self) -> None:
        """Run the comparison and print its table."""
        out = self.out or Path("runs") / f"ising-{self.preset}"
        compare(
            self.preset,
            out,
            encodings=self.encodings,
            seeds=self.seeds,
            variant=self.variant,
            size=self.size,
            jobs=self.jobs,
            cluster=self.cluster,
            cluster_options={k: int(v) if v.isdigit() else v for k, v in self.cluster_options.items()},
            train_missing=not self.report_only,
        )
        print((out / "table.md").read_text())
        print("\n".join(str(path) for path in [out / "summary.json", out / "table.md", *sorted(out.glob("*.png"))]))


@dataclass
class TrainIsing:
    """Train one model on the energy of Ising configurations, or go on where it stopped."""

    config: Annotated[IsingConfig, tyro.conf.arg(name="")]
    out: Path = Path("runs/ising")
    """The run directory is OUT/runs/NAME."""
    accelerator: str = "auto"
    """Lightning's accelerator: auto, cpu, gpu, ..."""
    devices: int = 1
    """Devices a node; more than one trains by DDP."""
    num_nodes: int = 1
    """Nodes."""

    def __call__(self) -> None:
        """Train, evaluate and print the row."""
        row = train_row(
            self.config,
            self.out,
            None,
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.num_nodes,
            progress_bar=True,
        )
        if row is not None:
            print(json.dumps(row, indent=1))


@dataclass
class Evaluate:
    """Evaluate the last checkpoint of a run directory."""

    run: tyro.conf.Positional[Path]
    """A run directory, DIR/runs/NAME."""

    def __call__(self) -> None:
        """Print the metrics."""
        print(json.dumps(evaluate_run(self.run), indent=1))


COMMANDS: dict[str, Callable[..., Any]] = {
    "compare ising": CompareIsing,
    "train ising": TrainIsing,
    "evaluate": Evaluate,
}


def main() -> None:
    """Parse the command line and run; errors of the user's input end with one line and status 2."""
    words = sys.argv[1:]
    if " ".join(words[:2]) in COMMANDS:
        words = [" ".join(words[:2]), *words[2:]]
    command = tyro.extras.subcommand_cli_from_dict(
        COMMANDS, prog="sympe", description="Break symmetries without giving up equivariance.", args=words
    )
    try:
        command()
    except (ValueError, FileNotFoundError) as error:
        print(f"sympe: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("sympe: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)

"""The ``sympe`` command: parses and calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import tyro

from sympe.experiments.catalogue import EXPERIMENTS
from sympe.experiments.commands import (
    check_command,
    compare_command,
    evaluate_command,
    list_command,
    train_command,
)
from sympe.experiments.info import Info
from sympe.experiments.report_command import Report
from sympe.experiments.workers import RowsFailedError
from sympe.extras import extra_of, missing


def commands() -> dict[str, Callable[..., Any]]:
    """All commands by their words, those of experiments from the list of experiments."""
    return {
        **{f"compare {experiment.name}": compare_command(experiment) for experiment in EXPERIMENTS},
        **{f"train {experiment.name}": train_command(experiment) for experiment in EXPERIMENTS if experiment.evaluate},
        "evaluate": evaluate_command(EXPERIMENTS),
        "check": check_command(EXPERIMENTS),
        "list": list_command(EXPERIMENTS),
        **{word: command for experiment in EXPERIMENTS for word, command in experiment.commands.items()},
        "report": Report,
        "info": Info,
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
    try:
        _run(words)
    except RowsFailedError as error:
        print(f"sympe: {error}", file=sys.stderr)
        sys.exit(1)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = extra_of(package) if package else None
        if extra is None:  # it is not the installation that is at fault
            raise
        print(f"sympe: {missing(f'{words[0]} needs the package', package, extra, whole=True)}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # who reads has enough, such as head
        sys.stderr.close()  # and the interpreter's flush at the end has nobody to tell
        sys.exit(0)
    except (ValueError, OSError, ImportError) as error:
        print(f"sympe: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("sympe: stopped; a training goes on when the command is given again", file=sys.stderr)
        sys.exit(130)


def _run(words: list[str]) -> None:
    """Parse and call."""
    known = commands()
    if words and words[0] in ("compare", "train") and " ".join(words[:2]) not in known:
        own = {experiment.name: experiment for experiment in EXPERIMENTS if f"{words[0]} {experiment.name}" in known}
        if words[1:] and words[1] not in ("-h", "--help"):
            raise ValueError(f"{words[0]}: expected one of {', '.join(own)}; got {words[1]}")
        print(f"usage: sympe {words[0]} EXPERIMENT [OPTIONS]; sympe {words[0]} EXPERIMENT --help lists the options\n")
        print("\n".join(f"  {name:16}{experiment.title}" for name, experiment in own.items()))
        sys.exit(0 if words[1:] else 2)
    if " ".join(words[:2]) in known:
        words = [" ".join(words[:2]), *words[2:]]
    command = tyro.extras.subcommand_cli_from_dict(
        known, prog="sympe", description="Break symmetries without giving up equivariance.", args=words
    )  # a config refuses numbers out of range as it is made
    command()

"""`ao`: find the command, parse its settings, run it, and say in one line what went wrong.

Only the command that is called is imported: `ao --help` must not wait for torch.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import tyro

from activation_oracles.errors import OracleError

CLOSED = 141
"""Exit status of a command whose output nobody reads any more, as shells count SIGPIPE."""


class Runnable(Protocol):
    """What every command's dataclass has."""

    def run(self) -> None:
        """Do what the command says and print the result to stdout."""
        ...


@dataclass(frozen=True)
class Command:
    """Where a command lives, and what it is for."""

    module: str
    """The module that holds its dataclass."""
    name: str
    """The dataclass in that module."""
    summary: str
    """What `ao --help` says about it."""


COMMANDS: dict[str, Command] = {
    "ask": Command("activation_oracles.cli.ask", "Ask", "ask an oracle about a text's activations"),
    "sweep": Command(
        "activation_oracles.cli.sweep", "Sweep", "ask one question at every token and layer"
    ),
    "steer": Command(
        "activation_oracles.cli.steer", "Steer", "add directions to a model, and see what it writes"
    ),
    "steer export": Command(
        "activation_oracles.cli.steer", "ExportVector", "write vectors for llama.cpp (GGUF)"
    ),
    "dream": Command(
        "activation_oracles.cli.dream", "Dream", "make vectors that an oracle would swear by"
    ),
    "redteam": Command(
        "activation_oracles.cli.redteam", "RedTeam", "count what fools an oracle, and what steers"
    ),
    "harden": Command(
        "activation_oracles.cli.harden", "Harden", "train an oracle on against what fools it"
    ),
    "demo": Command(
        "activation_oracles.cli.demo", "Demo", "read a secret out of the embedded world's model"
    ),
    "train": Command("activation_oracles.cli.train", "Train", "train an oracle for a model"),
    "grid": Command(
        "activation_oracles.cli.grid", "Grid", "train over a grid of settings, and rank the runs"
    ),
    "data build": Command(
        "activation_oracles.cli.data", "BuildData", "make training questions from texts and tables"
    ),
    "data continue": Command(
        "activation_oracles.cli.continuing", "ContinueData", "let a model go on with texts"
    ),
    "eval": Command("activation_oracles.cli.eval", "Eval", "score an oracle beside its controls"),
    "calibrate": Command(
        "activation_oracles.cli.calibrate",
        "Calibrate",
        "fit how sure an oracle is to how often it is right",
    ),
    "depth": Command(
        "activation_oracles.cli.depth", "Depth", "find the layer at which an oracle reads best"
    ),
    "report": Command(
        "activation_oracles.cli.report",
        "Report",
        "show what evaluations found, as a page and plots",
    ),
    "inspect": Command(
        "activation_oracles.cli.inspect", "Inspect", "tell what an adapter is, from its files"
    ),
    "push": Command("activation_oracles.cli.push", "Push", "publish an oracle on the hub"),
    "world build": Command(
        "activation_oracles.cli.world", "BuildWorld", "remake the embedded world from nothing"
    ),
}

USAGE = (
    "usage: ao COMMAND [SETTINGS]\n\n"
    "Ask a language model's activations what they hold.\n\ncommands:\n"
    + "\n".join(f"  {name:<13} {command.summary}" for name, command in COMMANDS.items())
    + "\n\n`ao COMMAND --help` tells a command's settings."
)


def find(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Split the arguments into a command's name and its settings.

    Raises:
        SystemExit: help was asked for (0), or there is no such command (2).
    """
    for length in (2, 1):
        name = " ".join(arguments[:length])
        if len(arguments) >= length and name in COMMANDS:
            return name, list(arguments[length:])
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        raise SystemExit(0)
    if arguments[0] == "--version":
        print(import_module("activation_oracles").__version__)
        raise SystemExit(0)
    print(f"ao: there is no command {' '.join(arguments[:2])!r}.\n\n{USAGE}", file=sys.stderr)
    raise SystemExit(2)


def parse(name: str, settings: Sequence[str]) -> Runnable:
    """Turn settings into the command's dataclass; tyro reports a wrong one and exits with 2."""
    command = COMMANDS[name]
    kind = getattr(import_module(command.module), command.name)
    return tyro.cli(kind, prog=f"ao {name}", args=list(settings))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 2 after an error that the user can mend."""
    try:
        try:
            return run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Who read our output has enough of it, as `head`. Python writes out the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED


def run(arguments: Sequence[str] | None) -> int:
    """Find, parse and run one command, and say what went wrong."""
    name, settings = find(sys.argv[1:] if arguments is None else arguments)
    try:
        parse(name, settings).run()
    except OracleError as error:
        print(f"ao {name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"ao {name}: stopped.", file=sys.stderr)
        return 130
    return 0

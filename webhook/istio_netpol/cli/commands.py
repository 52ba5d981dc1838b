"""The commands by name: where each is, and its line in the program's help.

Help and completion list them from here. The module of a command, and with it all that the command runs, is
imported when somebody asks for the command.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from istio_netpol.cli.program import Program


class Home(NamedTuple):
    """Where a command is, `module.name` in this package, and what it does, in a line."""

    place: str
    line: str


COMMANDS = {
    "check": Home("check.check", "Find required flows that are denied."),
    "generate": Home("generate.generate", "Write the policies that are missing."),
    "explain": Home("explain.explain", "Say why a connection is allowed or denied."),
    "list": Home("listing.list_connections", "List every allowed connection."),
    "diff": Home("diff.diff", "Compare two inputs."),
    "map": Home("map.map_command", "Draw who can reach whom."),
    "dump": Home("dump.dump", "Write what an analysis needs from a cluster into a file."),
    "readiness": Home("readiness.readiness", "Plan a deny-all that cuts nothing."),
    "doctor": Home("doctor.doctor", "Examine what policies depend on in a cluster."),
    "rule": Home("rule.rule", "Explain a rule."),
    "serve": Home("serve.serve", "Serve the admission webhook."),
    "controller": Home("controller.controller", "Keep the generated policies of a cluster right."),
    "certs": Home("certs.certs", "Make or renew the webhook's certificates and paths now."),
    "bundle": Home("bundle.bundle", "Prove the Kustomize bundle of the control plane."),
    "completion": Home("completion.completion", "Print a shell's completion script."),
}


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, each imported from its home when it is asked for."""

    def __init__(self, homes: Mapping[str, Home]) -> None:
        self.homes = dict(homes)
        self._imported: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._imported:
            place, line = self.homes[name]
            module, _, variable = place.rpartition(".")
            command = getattr(import_module(f"istio_netpol.cli.{module}"), variable)
            command.short_help = line
            self._imported[name] = command
        return self._imported[name]

    def __contains__(self, name: object) -> bool:
        return name in self.homes

    def __iter__(self) -> Iterator[str]:
        return iter(self.homes)

    def __len__(self) -> int:
        return len(self.homes)

    def __setitem__(self, name: str, command: click.Command) -> None:
        self.homes[name] = Home("", command.get_short_help_str())
        self._imported[name] = command

    def __delitem__(self, name: str) -> None:
        del self.homes[name]
        self._imported.pop(name, None)


class LazyProgram(Program):
    """A program whose help and completion tell of commands without importing them."""

    commands: LazyCommands

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The section of the help that lists the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(self._lines())

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What a word may become: a command, or an option of the program."""
        names = [
            CompletionItem(name, help=line) for name, line in self._lines() if name.startswith(incomplete)
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def _lines(self) -> list[tuple[str, str]]:
        return sorted((name, home.line) for name, home in self.commands.homes.items())

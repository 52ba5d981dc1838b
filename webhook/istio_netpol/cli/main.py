"""The console entry point: one group, and its commands, imported when somebody asks for them."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click

from istio_netpol import __version__
from istio_netpol.cli.program import (
    COMPLETE_VARIABLE,
    INTERRUPTED,
    PLUGIN,
    PROGRAM,
    UNUSABLE,
    Program,
    examples,
)
from istio_netpol.cli.terminal import OutputError, discard_output, tell


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name; `homes` says of each where it is, as `module.name` in the package of commands."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._homes = dict(homes)
        self._imported: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._imported:
            module, _, command = self._homes[name].rpartition(".")
            self._imported[name] = getattr(import_module(f"istio_netpol.cli.{module}"), command)
        return self._imported[name]

    def __contains__(self, name: object) -> bool:
        return name in self._homes

    def __iter__(self) -> Iterator[str]:
        return iter(self._homes)

    def __len__(self) -> int:
        return len(self._homes)

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._homes.setdefault(name, "")
        self._imported[name] = command

    def __delitem__(self, name: str) -> None:
        del self._homes[name]
        self._imported.pop(name, None)


COMMANDS = {
    "check": "check.check",
    "generate": "generate.generate",
    "explain": "explain.explain",
    "list": "listing.list_connections",
    "diff": "diff.diff",
    "map": "map.map_command",
    "dump": "dump.dump",
    "readiness": "readiness.readiness",
    "doctor": "doctor.doctor",
    "rule": "rule.rule",
    "serve": "serve.serve",
    "controller": "controller.controller",
    "certs": "certs.certs",
    "bundle": "bundle.bundle",
    "completion": "completion.completion",
}
"""Every command by name, and the module and name of what runs it."""


@click.group(
    cls=Program,
    commands=LazyCommands(COMMANDS),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "istio-netpol check manifests/",
        "istio-netpol generate manifests/ -o policies/",
        "istio-netpol explain manifests/ --from shop/cart --to shop/db:5432",
        "istio-netpol check --help",
    ),
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def program() -> None:
    """Keep Istio and Kyma working under deny-all NetworkPolicies.

    Reads manifests from files, folders, overlays, charts and standard input, or the cluster of the current
    context where none are named.
    """


def main() -> None:
    """Runs the program on the process's own arguments, and ends the process."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    called = os.path.basename(sys.argv[0])
    name = "kubectl istio-netpol" if called == PLUGIN else PROGRAM
    try:
        program.main(prog_name=name, complete_var=COMPLETE_VARIABLE)
    except OSError as error:
        # Commands tell of their own failures; this is the help that could not be written.
        discard_output()
        tell(str(OutputError.of(error)))
        sys.exit(UNUSABLE)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):
            sys.stderr.write("\n")
        sys.exit(INTERRUPTED)


def _open_closed_streams() -> None:
    """Standard streams that were closed (`<&-`) read as empty, and take what is written to them."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # Open for as long as the process lives.
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


if __name__ == "__main__":
    main()

"""The console entry point: one group, and the tuple of its commands."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path, PurePath

import click

from istio_netpol import __version__
from istio_netpol.cli.bundle import bundle
from istio_netpol.cli.certs import certs
from istio_netpol.cli.check import check
from istio_netpol.cli.completion import completion
from istio_netpol.cli.controller import controller
from istio_netpol.cli.diff import diff
from istio_netpol.cli.doctor import doctor
from istio_netpol.cli.dump import dump
from istio_netpol.cli.examples import examples
from istio_netpol.cli.exits import INTERRUPTED, UNUSABLE
from istio_netpol.cli.explain import explain
from istio_netpol.cli.generate import generate
from istio_netpol.cli.listing import list_connections
from istio_netpol.cli.map import map_command
from istio_netpol.cli.names import COMPLETE_VARIABLE, PLUGIN, PROGRAM
from istio_netpol.cli.program import Program
from istio_netpol.cli.readiness import readiness
from istio_netpol.cli.rule import rule
from istio_netpol.cli.serve import serve
from istio_netpol.cli.terminal import OutputError, discard_output, tell

COMMANDS: tuple[click.Command, ...] = (
    check,
    generate,
    explain,
    list_connections,
    diff,
    map_command,
    dump,
    readiness,
    doctor,
    rule,
    serve,
    controller,
    certs,
    bundle,
    completion,
)


@click.group(
    cls=Program,
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


for _command in COMMANDS:
    program.add_command(_command)


def main() -> None:
    """Runs the program on the process's own arguments, and ends the process."""
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    called = PurePath(sys.argv[0]).name
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
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


if __name__ == "__main__":
    main()

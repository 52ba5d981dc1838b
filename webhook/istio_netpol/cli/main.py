"""The console entry point: the group of all commands, run on the arguments of the process."""

from __future__ import annotations

import contextlib
import io
import os
import sys

import click

from istio_netpol import __version__
from istio_netpol.cli.commands import COMMANDS, LazyCommands, LazyProgram
from istio_netpol.cli.program import (
    COMPLETE_VARIABLE,
    INTERRUPTED,
    PLUGIN,
    PROGRAM,
    UNUSABLE,
    examples,
)
from istio_netpol.cli.streams import OutputError, discard_output, tell


@click.group(
    cls=LazyProgram,
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

"""The program around its commands: its name, its exit codes, the examples of its help, and how every failure
becomes a sentence, never a traceback."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from typing import IO, Any

import click

from istio_netpol.cli.streams import OutputError, discard_output
from istio_netpol.errors import InputError, NetpolError

FINE = 0
FOUND = 1
"""Findings of severity error; a denied connection; a required flow lost."""

UNUSABLE = 2
"""Unusable input or arguments, and whatever went wrong in the program itself."""

INTERRUPTED = 130
"""Ended by Ctrl-C, as shells report it: 128 and SIGINT."""

BROKEN_PIPE = 141
"""The reader of standard output went away: 128 and SIGPIPE."""


PROGRAM = "istio-netpol"
PLUGIN = "kubectl-istio_netpol"
"""The name on PATH by which kubectl finds it as a plugin."""

COMPLETE_VARIABLE = "_ISTIO_NETPOL_COMPLETE"
"""The environment variable through which click's completion scripts ask."""


EXAMPLES_HEADING = "Examples:"


def examples(*lines: str) -> str:
    """An epilog that click prints line by line as it is."""
    return "\n".join(["\b", EXAMPLES_HEADING, *(f"  {line}" for line in lines)])


NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What printing the help of a command may meet; commands tell of their own output."""

TRACEBACK_VARIABLE = "ISTIO_NETPOL_TRACEBACK"


class CommandFailure(click.ClickException):
    """What the user reads on standard error before the program ends with exit code 2."""

    exit_code = UNUSABLE

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints the sentences as they are; where nobody can read them, the exit code has to do."""
        with contextlib.suppress(OSError):
            click.echo(self.format_message(), file=file or sys.stderr)


class Program(click.Group):
    """A group of commands that turns whatever they raise into a `CommandFailure` or an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except BrokenPipeError:
            discard_output()
            ctx.exit(BROKEN_PIPE)
        except (KeyboardInterrupt, click.Abort):
            ctx.exit(INTERRUPTED)
        except InputError as error:
            count = len(error.problems)
            closing = f"{count} problems; nothing was done" if count > 1 else "nothing was done"
            raise CommandFailure(f"{error}\n{closing}") from None
        except OutputError as error:
            discard_output()
            raise CommandFailure(str(error)) from None
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise CommandFailure(_unexpected(error)) from None
            discard_output()
            raise CommandFailure(str(OutputError.of(error))) from None
        except NetpolError as error:
            raise CommandFailure(str(error)) from None
        except Exception as error:
            raise CommandFailure(_unexpected(error)) from None


def _unexpected(error: Exception) -> str:
    if os.environ.get(TRACEBACK_VARIABLE):
        return "".join(traceback.format_exception(error)).rstrip()
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    first_line = what.splitlines()[0]
    return (
        f"istio-netpol stopped on an error that it did not expect ({first_line}); "
        f"set {TRACEBACK_VARIABLE}=1 and run it again to see where"
    )

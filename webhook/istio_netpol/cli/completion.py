"""`istio-netpol completion`: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from istio_netpol.cli.command import Command
from istio_netpol.cli.program import COMPLETE_VARIABLE, PROGRAM, examples
from istio_netpol.cli.streams import write

SHELLS = ("bash", "zsh", "fish")


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol completion bash > istio-netpol.bash",
        "istio-netpol completion zsh > _istio-netpol",
        "istio-netpol completion fish > istio-netpol.fish",
    ),
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    Load it where the shell starts: in bash and fish, source the file; in zsh, put it into a folder of $fpath.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell} has no completion")
    write([kind(ctx.find_root().command, {}, PROGRAM, COMPLETE_VARIABLE).source(), "\n"])

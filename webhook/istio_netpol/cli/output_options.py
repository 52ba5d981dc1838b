"""Options that say where a command writes, and how the policies that it writes are joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from istio_netpol.cli.options import Decorator


class _Output(click.Path):
    """A path to write to; an empty text, such as a variable that is not set, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if value == "":
            remedy = "; use . for this folder" if self.dir_okay else ""
            self.fail(f"the name is empty{remedy}", param, ctx)
        return super().convert(value, param, ctx)


def output_file_option(told: str) -> Decorator:
    """`-o FILE`."""
    return click.option(
        "-o", "--output", "file", metavar="FILE", type=_Output(dir_okay=False, path_type=Path), help=told
    )


def output_folder_option(told: str) -> Decorator:
    """`-o DIR`."""
    return click.option(
        "-o", "--output", "folder", metavar="DIR", type=_Output(file_okay=False, path_type=Path), help=told
    )


def tight_option() -> Decorator:
    """`--tight` or `--per-namespace`."""
    return click.option(
        "--tight/--per-namespace",
        "tight",
        default=True,
        help="A policy for each workload (the default), or one for all pods of a namespace for istiod and "
        "DNS.",
    )

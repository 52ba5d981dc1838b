"""The command line of another command for the same input, as a person would type it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import click
from click.core import ParameterSource


def command_line(ctx: click.Context, other: click.Command) -> str:
    """`istio-netpol generate manifests/ -n shop`: what was typed for this command, if `other` takes it."""
    taken = {param.name for param in other.params}
    words = [word for param in ctx.command.params if param.name in taken for word in _words(ctx, param)]
    program = ctx.find_root().info_name or ""
    return shlex.join([*program.split(), other.name or "", *words])


def _words(ctx: click.Context, param: click.Parameter) -> Iterator[str]:
    name = param.name or ""
    if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
        return
    value = ctx.params[name]
    if isinstance(param, click.Argument):
        yield from value
        return
    option = max(param.opts, key=len)
    for item in value if param.multiple else (value,):
        if isinstance(param, click.Option) and param.is_flag:
            yield option
        else:
            yield from (option, _written(item))


def _written(value: Any) -> str:
    """A value as it is typed: `HOST=IP,IP` for the one kind that is read into a pair."""
    if isinstance(value, tuple):
        host, addresses = value
        return f"{host}={','.join(addresses)}"
    return str(value)

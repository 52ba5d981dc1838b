"""What was typed for one command, as it is typed for another."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import click
from click.core import ParameterSource


def command_line_for(ctx: click.Context, name: str) -> str:
    """`istio-netpol generate manifests/ -n shop`: what was typed for this command, as far as the one of that
    name takes it."""
    program = ctx.find_root()
    taken = {param.name for param in _command(program, name).params}
    words = [word for param in ctx.command.params if param.name in taken for word in _words(ctx, param)]
    return shlex.join([*(program.info_name or "").split(), name, *words])


def _command(program: click.Context, name: str) -> click.Command:
    command = program.command.get_command(program, name) if isinstance(program.command, click.Group) else None
    if command is None:
        raise LookupError(f"the program has no command {name}")
    return command


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

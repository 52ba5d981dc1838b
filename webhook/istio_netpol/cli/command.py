"""A command that tells all that is wrong with its arguments at once; click tells the first mistake only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click


class Command(click.Command):
    """A command whose usage error names every value that can't be used, a line each."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments that are left. An option that there is not is told alone: what follows it may be its
        value, or a PATH."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as first:
            found = list(dict.fromkeys([first.format_message(), *self._mistakes(ctx, given)]))
            if len(found) == 1:
                raise
            raise click.UsageError("\nError: ".join(found), ctx) from None

    def _mistakes(self, ctx: click.Context, args: list[str]) -> Iterator[str]:
        """What is wrong with each value by itself."""
        try:
            options, left, _ = self.make_parser(ctx).parse_args(args)
        except click.UsageError:
            return
        for parameter in self.get_params(ctx):
            for single in _one_by_one(parameter, options):
                try:
                    parameter.handle_parse_result(ctx, single, left)
                except click.UsageError as error:
                    yield error.format_message()


def _one_by_one(parameter: click.Parameter, options: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The values of an option that may be repeated, each as if it were the only one."""
    values = options.get(parameter.name or "")
    if not isinstance(parameter, click.Option) or not parameter.multiple or not isinstance(values, list):
        return [options]
    return [{**options, parameter.name: [value]} for value in values]

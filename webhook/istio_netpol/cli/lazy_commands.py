"""Commands that are imported when somebody asks for them: each run needs one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click


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

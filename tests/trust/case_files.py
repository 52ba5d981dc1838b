"""What a hostile tenant tries: one YAML file for each kind of attempt, one entry a case.

`tries` says what the tenant is after; `there` is in the cluster before; `writes` comes then, one object after
the other, each by whoever may write in its namespace; `allowed` lists what may open beyond what the cluster
opens without the case, and `needs` what has to, on both sides; `settings` and `hosts` (what DNS says) are its
own; `live` has it tried on a real API server too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.trust.openings import Allowed

Manifest = dict[str, Any]
FOLDER = Path(__file__).parent / "cases"
WORLD = Path(__file__).parent / "world.yaml"
KEYS = {"tries", "there", "writes", "allowed", "needs", "settings", "hosts", "live"}


@dataclass(frozen=True, slots=True)
class Case:
    """One attempt, as its entry says it."""

    name: str
    tries: str
    there: tuple[Manifest, ...]
    writes: tuple[Manifest, ...]
    allowed: tuple[Allowed, ...] = ()
    needs: tuple[Allowed, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    live: bool = False

    def settings_file(self, dns: Mapping[str, Any] | None = None) -> str:
        """The text of the settings that the case needs; `dns` says who is asked for names."""
        header = {"apiVersion": "istio-netpol.io/v1", "kind": "Settings"}
        return yaml.safe_dump({**header, **self.settings, **({"dns": dns} if dns else {})})

    @property
    def records(self) -> dict[str, dict[str, list[str]]]:
        """What DNS says, as a zone has it."""
        found: dict[str, dict[str, list[str]]] = {}
        for host, addresses in self.hosts.items():
            for address in addresses.split():
                found.setdefault(host, {}).setdefault("AAAA" if ":" in address else "A", []).append(address)
        return found


def world() -> list[Manifest]:
    """The objects of the cluster in which every case happens."""
    return list(yaml.load_all(WORLD.read_bytes(), yaml.CSafeLoader))


def cases() -> Iterator[Case]:
    """Every case of every file, in the order of the files."""
    for file in sorted(FOLDER.glob("*.yaml")):
        for name, entry in yaml.load(file.read_bytes(), yaml.CSafeLoader).items():
            assert entry.keys() <= KEYS, f"{file.name}, {name}: {entry.keys() - KEYS}"
            yield _case(f"{file.stem}-{name}", entry)


def _case(name: str, entry: Mapping[str, Any]) -> Case:
    return Case(
        name,
        entry["tries"],
        tuple(entry.get("there", ())),
        tuple(entry["writes"]),
        tuple(map(Allowed.of, (*entry.get("allowed", ()), *entry.get("needs", ())))),
        tuple(map(Allowed.of, entry.get("needs", ()))),
        entry.get("settings", {}),
        entry.get("hosts", {}),
        entry.get("live", False),
    )

"""A scenario folder as a value, and the program run over it as a user would."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from click.testing import CliRunner

from istio_netpol.cli.main import program

FOLDER = Path(__file__).parent
SCENARIO_FILE = "scenario.yaml"
KEYS = frozenset(
    {
        "title",
        "trap",
        "source",
        "with",
        "args",
        "settings",
        "submit",
        "remains",
        "leaving_out",
        "expects_nothing",
        "why",
    }
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One folder of `tests/scenarios`; tests/scenarios/README.md explains the keys of its scenario.yaml."""

    folder: Path
    title: str
    trap: str
    source: str
    inputs: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    submit: str = ""
    remains: tuple[str, ...] = ()
    leaving_out: Mapping[str, str] = field(default_factory=dict)
    expects_nothing: bool = False
    why: str = ""

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def before(self) -> tuple[str, ...]:
        """The paths of the broken state: what the scenario builds on, then its own manifests."""
        return (*self.inputs, str(self.folder / "before"))

    @property
    def policies(self) -> tuple[Path, ...]:
        """The finished policies, one file each."""
        return tuple(sorted((self.folder / "policies").glob("*.yaml")))


def names() -> list[str]:
    """All scenarios; folders with an underscore are parts that scenarios share."""
    return sorted(file.parent.name for file in FOLDER.glob(f"[!_]*/{SCENARIO_FILE}"))


def read(name: str) -> Scenario:
    """The scenario of that name."""
    folder = FOLDER / name
    document = yaml.safe_load((folder / SCENARIO_FILE).read_text(encoding="utf-8"))
    unknown = document.keys() - KEYS
    assert not unknown, f"{name}: scenario.yaml has unknown keys {sorted(unknown)}"
    return Scenario(
        folder=folder,
        title=document["title"],
        trap=document["trap"],
        source=document["source"],
        inputs=tuple(path for part in document.get("with", ()) for path in _paths(part)),
        args=(*document.get("args", ()), *_settings(folder, document.get("settings", ""))),
        submit=document.get("submit", ""),
        remains=tuple(document.get("remains", ())),
        leaving_out=document.get("leaving_out", {}),
        expects_nothing=document.get("expects_nothing", False),
        why=document.get("why", ""),
    )


def _settings(folder: Path, name: str) -> tuple[str, ...]:
    return ("--config", str(folder / name)) if name else ()


def _paths(part: str) -> Iterable[str]:
    """A shared part is a file or folder; a scenario stands for its finished state."""
    place = FOLDER / part
    if not (place / SCENARIO_FILE).exists():
        return (str(place),)
    return (str(place / "before"), str(place / "policies"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command ended with."""

    code: int
    output: str
    told: str


def run(command: str, scenario: Scenario, paths: Iterable[str | Path], *more: str) -> Outcome:
    """Runs a command over paths with the scenario's own arguments; no DNS server is asked."""
    arguments = [command, *map(str, paths), "--offline", *scenario.args, *more]
    result = CliRunner().invoke(program, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)


def check(scenario: Scenario, paths: Iterable[str | Path]) -> tuple[int, list[dict[str, Any]]]:
    """The exit code and the findings of `check`."""
    outcome = run("check", scenario, paths, "-f", "json")
    assert outcome.code in (0, 1), outcome.told
    return outcome.code, json.loads(outcome.output)["findings"]


def compact(finding: Mapping[str, Any]) -> dict[str, Any]:
    """A finding as findings.yaml holds it: what it says, without its prose."""
    about = finding["object"]
    named = {"rule": finding["rule"], "severity": finding["severity"]}
    named["object"] = "/".join(filter(None, (about["kind"], about["namespace"], about["name"])))
    flow = finding["flow"]
    if flow is None:
        return named
    return {
        **named,
        "source": _peer(flow["source"]),
        "destination": _peer(flow["destination"]),
        "port": f"{flow['protocol']} {flow['port']}",
        "denied": finding["denied"],
    }


def _peer(peer: Mapping[str, Any]) -> str:
    if "kind" in peer:
        return f"{peer['kind']}/{peer['namespace']}/{peer['name']}"
    found = [f"{key} {value}" for key, value in peer.items() if key != "any"]
    return ", ".join(found) or "any"

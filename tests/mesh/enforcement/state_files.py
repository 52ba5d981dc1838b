"""How tests and the program that enforces tell each other what is wanted, and what is done: two files beside
each other, each replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.mesh.enforcement.protocol import Style


@dataclass(frozen=True, slots=True)
class Wanted:
    """What tests want: whether policies count, and how packets are refused."""

    on: bool = True
    style: Style = Style.REJECT


@dataclass(frozen=True, slots=True)
class Enforced:
    """What has been done: for whom, and by which version of what. Of `pods` it has address and labels, of
    policies and namespaces the resourceVersion; keys are
    `namespace/name`. `failure` says why nothing more is done."""

    wanted: Wanted
    pods: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    namespaces: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""


def seen(address: object, labels: Mapping[str, str]) -> str:
    """What a policy sees of a pod. Its resourceVersion says less: it changes with every probe."""
    return " ".join([f"{address}", *(f"{key}={value}" for key, value in sorted(labels.items()))])


def enforced_file(control: Path) -> Path:
    """Where the program says what it has done, of the file in which it is told what is wanted."""
    return control.with_name("enforced.json")


def write(file: Path, content: Wanted | Enforced) -> None:
    """Readers see the whole of it or what was there before."""
    new = file.with_suffix(".new")
    new.write_text(json.dumps(asdict(content)))
    new.replace(file)


def read_wanted(file: Path) -> Wanted:
    return _wanted(json.loads(file.read_text()))


def read_enforced(file: Path) -> Enforced | None:
    """None before anything was done."""
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    return Enforced(**{**content, "wanted": _wanted(content["wanted"])})


def _wanted(content: Mapping[str, Any]) -> Wanted:
    return Wanted(content["on"], Style(content["style"]))

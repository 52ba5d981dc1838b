"""Plans under which paths the API server calls the webhook, and when those change.

Part of each path is secret: who knows it has it from a webhook configuration, which no Role of one namespace
lets anybody read. So a review under such a path comes from the API server. Each webhook has a secret of its
own, since that of a webhook that fails closed is told to users: the API server's message about a call that
failed has the whole URL in it.

    new paths are announced ─(settle)─> they are registered ─(the webhook's own time)─> old ones are refused
    replicas take both already          API servers follow

Pods of a version that knows no secret paths take plain ones only. While one of them stands behind the
Service, plain paths are registered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from msgspec import Struct


class Door(StrEnum):
    """What a review asks for; the first part of its path."""

    MUTATE = "mutate"
    """Writes what is missing before the object is admitted."""

    VALIDATE = "validate"
    """Says whether the object is admitted."""


SECRET_PATH = re.compile(rf"/({'|'.join(Door)})/[0-9a-f]{{64}}")
"""Letters and digits that are valid in a registered path, whose parts are DNS names, with 256 bits."""


class PathTimes(Struct, frozen=True):
    """How long paths are announced, registered and kept."""

    life: timedelta = timedelta(days=1)
    settle: timedelta = timedelta(seconds=5)
    """How long a replica's watch may take to show what was announced."""


@dataclass(frozen=True, slots=True)
class Note:
    """What an annotation of the configuration remembers: since when its paths are registered, and which come
    next, announced when."""

    since: datetime | None = None
    following: Mapping[str, str] = field(default_factory=dict, repr=False)
    announced: datetime | None = None

    @classmethod
    def read(cls, text: str) -> Note:
        """What the annotation says; an empty note where it is garbled."""
        try:
            found = json.loads(text) if text else {}
            following = {str(name): str(path) for name, path in dict(found.get("next", {})).items()}
            return cls(_moment(found.get("since")), following, _moment(found.get("announced")))
        except (ValueError, TypeError, AttributeError, OverflowError):
            return cls()

    def __str__(self) -> str:
        content: dict[str, object] = {}
        if self.since:
            content["since"] = self.since.isoformat(timespec="seconds")
        if self.following and self.announced:
            content |= {"next": dict(self.following), "announced": self.announced.isoformat()}
        return json.dumps(content, sort_keys=True)


@dataclass(frozen=True, slots=True)
class RegisteredWebhook:
    """One webhook of a configuration that calls a Service; `callable` says that API servers can call it."""

    name: str
    path: str = field(default="", repr=False)
    callable: bool = True


@dataclass(frozen=True, slots=True)
class PathPlan:
    """What the configuration should hold: the path of each webhook by name, and the note. `reason` is empty
    where nothing changes; `again_at` is when time alone will change this plan."""

    paths: Mapping[str, str] = field(repr=False)
    note: Note
    reason: str = ""
    again_at: datetime | None = None


def door_of(*, mutating: bool) -> Door:
    """What the webhooks of a kind of configuration do."""
    return Door.MUTATE if mutating else Door.VALIDATE


def plain_path(door: Door) -> str:
    """The path without a secret, as versions before secret paths registered it."""
    return f"/{door}"


def plan_paths(
    webhooks: Sequence[RegisteredWebhook],
    note: Note,
    now: datetime,
    *,
    mutating: bool,
    secret: bool,
    draw: Callable[[], str],
    times: PathTimes,
) -> PathPlan:
    """The next step. `secret` says that every pod behind the Service takes secret paths; `draw` makes 64
    hexadecimal digits that nobody can guess."""
    door = door_of(mutating=mutating)
    names = {webhook.name for webhook in webhooks}
    held = {webhook.name: webhook.path for webhook in webhooks}
    if not secret:
        plain = dict.fromkeys(names, plain_path(door))
        reason = "plain paths, since a pod behind the Service takes no others" if held != plain else ""
        return PathPlan(plain, Note(), reason)
    if _are_secret(held, names, door) and note.since and note.since <= now < note.since + times.life:
        kept = Note(note.since)
        return PathPlan(held, kept, "" if note == kept else "tidied", note.since + times.life)
    if _are_secret(note.following, names, door) and note.announced and note.announced <= now:
        if now >= note.announced + times.settle:
            return PathPlan(note.following, Note(now), "new secret paths", now + times.life)
        return PathPlan(held, note, again_at=note.announced + times.settle)
    drawn = {name: f"/{door}/{draw()}" for name in sorted(names)}
    if not any(webhook.callable for webhook in webhooks):
        return PathPlan(drawn, Note(now), "secret paths", now + times.life)
    announced = Note(note.since, drawn, now)
    return PathPlan(held, announced, "announced new secret paths", now + times.settle)


def _are_secret(paths: Mapping[str, str], names: Set[str], door: Door) -> bool:
    """Whether each webhook has a secret path of its own, and one that leads to its door."""
    return (
        paths.keys() == names
        and all(SECRET_PATH.fullmatch(path) and path.startswith(f"/{door}/") for path in paths.values())
        and len(set(paths.values())) == len(paths)
    )


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else None

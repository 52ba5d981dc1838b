"""What one symptom looks like, and what it says of the network."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct

from istio_netpol.model.flows import FlowKind
from istio_netpol.symptoms.access_line import AccessLine


class Blame(StrEnum):
    """Whether a NetworkPolicy can be the cause of a symptom."""

    LIKELY = "likely"
    """Nobody answered: a policy, or a plugin that drops, is the first suspect."""

    POSSIBLE = "possible"
    """Other causes look the same: a policy is blamed only where it denies the flow."""

    NO_POLICY = "no-policy"
    """The connection was made, or never crosses the network: something else is the cause."""

    WORKS = "works"
    """This hop works: whatever is wrong is behind it."""


class Topic(StrEnum):
    """Where a symptom is met; the values are headings."""

    ANSWERS = "Answers and access logs of proxies"
    CLIENTS = "Clients without an answer"
    PODS = "Pods and proxies that do not start"
    NAMES = "Names that do not resolve"
    TOKENS = "Tokens and permissions"
    API_SERVER = "The API server and its webhooks"
    AMBIENT = "Ambient mode"
    TELEMETRY = "Telemetry and extensions"


Logged = Callable[[AccessLine], bool]


class Symptom(Struct, frozen=True):
    """One row of the table.

    `shown` is how it reads, for people: each is a text that the row recognises. `flows` are those that can
    cause it, likeliest first. `means` says what happened, `tell` what else looks the same and how to tell.
    `pattern` finds it in a line of text; its groups `host`, `address`, `port`, `url`, `pod`, `policy` are
    facts. A line has one of `needles`, in lower case, wherever the pattern can match. `logged` finds it in a
    line of an access log. One that `is_vague` says nothing where another symptom was seen.
    """

    id: str
    topic: Topic
    shown: tuple[str, ...]
    blame: Blame
    flows: tuple[FlowKind, ...]
    means: str
    tell: str
    pattern: re.Pattern[str] | None = None
    needles: tuple[str, ...] = ()
    logged: Logged | None = None
    is_vague: bool = False


def words(pattern: str) -> re.Pattern[str]:
    """A pattern that heeds no case. Gaps in it are bounded (`.{0,300}`), so that hostile lines cost no more
    than others."""
    return re.compile(pattern, re.IGNORECASE)

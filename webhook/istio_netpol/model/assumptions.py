"""What is assumed where the input does not say."""

from __future__ import annotations

from msgspec import Struct


class Assumption(Struct, frozen=True, order=True):
    """`why` is what the input lacks, `what` is assumed for it; as text, one sentence."""

    why: str
    what: str

    def __str__(self) -> str:
        return f"{self.why}: assumed {self.what}"

"""Which mode holds for an object: the label of its namespace, not looser than the administrator's floor."""

from __future__ import annotations

from msgspec import Struct

from istio_netpol.model.labels import Labels
from istio_netpol.model.own_names import MODE_LABEL
from istio_netpol.model.settings import AdmissionSettings, Mode

_STRICTNESS = {Mode.OFF: 0, Mode.WARN: 1, Mode.REJECT: 2, Mode.AUGMENT: 2}
"""Reject and augment are equally strict: neither lets a workload run without the flows that it needs."""


class EffectiveMode(Struct, frozen=True):
    """The mode, and a sentence about the label where it was not followed."""

    mode: Mode
    remark: str = ""


def effective_mode(namespace: str, labels: Labels, settings: AdmissionSettings) -> EffectiveMode:
    """The mode of a namespace with these labels."""
    text = labels.get(MODE_LABEL, "")
    default = _no_looser(settings.default_mode, settings.floor)
    if not text:
        return EffectiveMode(default)
    try:
        asked = Mode(text)
    except ValueError:
        known = ", ".join(Mode)
        return EffectiveMode(
            default, f"namespace {namespace}: label {MODE_LABEL}={text} is none of {known}; {default} holds"
        )
    mode = _no_looser(asked, settings.floor)
    if mode is not asked:
        return EffectiveMode(
            mode,
            f"namespace {namespace}: label {MODE_LABEL}={text} is below the floor; {mode} holds",
        )
    return EffectiveMode(mode)


def _no_looser(mode: Mode, floor: Mode | None) -> Mode:
    return floor if floor is not None and _STRICTNESS[mode] < _STRICTNESS[floor] else mode

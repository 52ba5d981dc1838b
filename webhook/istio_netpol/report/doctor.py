"""An examination of a cluster, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.printable import visible
from istio_netpol.report.json_format import API_VERSION, dump
from istio_netpol.report.palette import PLAIN, Palette

_WIDTH = max(map(len, Health))
_LONGEST = 240
"""Of what was found: more than that is a list of names, which the JSON has in full."""


def doctor_text(found: Sequence[Diagnosis], palette: Palette = PLAIN) -> str:
    """The findings by topic, ending in one sentence and a line break."""
    return "".join(f"{line}\n" for line in _lines(found, palette))


def _lines(found: Sequence[Diagnosis], palette: Palette) -> Iterator[str]:
    for topic in dict.fromkeys(finding.topic for finding in found):
        yield palette.paint(topic, palette.heading)
        for finding in found:
            if finding.topic == topic:
                yield from _line(finding, palette)
        yield ""
    yield closing_line(found)


def _line(found: Diagnosis, palette: Palette) -> Iterator[str]:
    escapes = {
        Health.OK: palette.good,
        Health.WRONG: palette.error,
        Health.NOTE: palette.faint,
        Health.NOT_SEEN: palette.warning,
    }
    health = palette.paint(found.health.ljust(_WIDTH), escapes[found.health])
    yield f"  {health}  {visible(found.looked_at)}: {visible(_clipped(found.found))}"
    if found.remedy:
        yield f"  {' ' * _WIDTH}  {palette.paint(visible(f'-> {found.remedy}'), palette.faint)}"


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST].rstrip()} … (-f json has all of it)"


def closing_line(found: Sequence[Diagnosis]) -> str:
    """`2 wrong, 1 not seen, 3 notes; 20 looked at`."""
    counts = Counter(finding.health for finding in found)
    parts = [
        *([f"{counts[Health.WRONG]} wrong"] if counts[Health.WRONG] else ()),
        *([f"{counts[Health.NOT_SEEN]} not seen"] if counts[Health.NOT_SEEN] else ()),
        *([f"{counts[Health.NOTE]} to note"] if counts[Health.NOTE] else ()),
    ]
    return f"{', '.join(parts) or 'All well'}; {len(found)} things were looked at"


def doctor_json(found: Sequence[Diagnosis]) -> str:
    """The `Examination` document, whose fields docs/doctor.md lists."""
    counts = Counter(finding.health for finding in found)
    return dump(
        {
            "apiVersion": API_VERSION,
            "kind": "Examination",
            "well": not (counts[Health.WRONG] or counts[Health.NOT_SEEN]),
            "summary": {
                "ok": counts[Health.OK],
                "wrong": counts[Health.WRONG],
                "note": counts[Health.NOTE],
                "notSeen": counts[Health.NOT_SEEN],
            },
            "findings": [
                {
                    "topic": finding.topic,
                    "lookedAt": finding.looked_at,
                    "found": finding.found,
                    "verdict": str(finding.health),
                    "remedy": finding.remedy,
                }
                for finding in found
            ],
        }
    )

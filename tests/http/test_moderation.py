"""Logs that clients cause, and can't fill."""

from __future__ import annotations

from structlog.testing import capture_logs

from istio_netpol.http.moderation import MINUTE, MOST_LINES, ModeratedLog


def test_the_first_is_told_and_the_others_are_counted() -> None:
    """Each client's first line of a kind comes at once, the rest as a number after a minute."""
    now = 100.0
    log = ModeratedLog("test", lambda: now)
    with capture_logs() as lines:
        for _ in range(1000):
            log.tell("refused", "192.0.2.1", "slow", reason="why")
        log.tell("refused", "192.0.2.2", "slow")
        log.summarize()
    assert [(line["client"], line.get("reason")) for line in lines] == [
        ("192.0.2.1", "why"),
        ("192.0.2.2", None),
    ]
    now += MINUTE
    with capture_logs() as lines:
        log.summarize()
        log.summarize()
    assert [(line["event"], line["client"], line["count"]) for line in lines] == [
        ("refused, and more", "192.0.2.1", 999)
    ]


def test_many_clients_get_few_lines() -> None:
    """However many addresses there are, the log and the memory stay small."""
    now = 100.0
    log = ModeratedLog("test", lambda: now)
    with capture_logs() as lines:
        for number in range(5000):
            log.tell("refused", f"2001:db8::{number:x}", "slow")
        now += MINUTE
        log.summarize()
    assert len(lines) == MOST_LINES + 1
    assert (lines[-1]["client"], lines[-1]["count"]) == ("others", 5000 - MOST_LINES)

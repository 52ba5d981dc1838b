"""Says in plain words why a build failed, where kustomize speaks of its own structures."""

from __future__ import annotations

import re

_CAUSES = (
    (
        re.compile(
            r"fieldPath `(?P<value>[^`]+)` is missing for replacement source \S+?/(?P<file>[\w.-]+\.yaml)"
        ),
        "{file} lacks {value}: set it as the comment there says",
    ),
    (
        re.compile(r"options\.index \d+ is out of bounds for value (?P<value>[^\s\"]+)"),
        "the value {value} lacks a prefix length: write an address such as 192.0.2.1/32 or 2001:db8::1/128",
    ),
    (
        re.compile(
            r"wrong node kind: expected \w+ but got \w+: node contents:"
            r"(?:\\n|\s)*(?P<value>.+?)(?:\\n|\"|$)"
        ),
        "the value {value} is not where one is expected: peers are a list, as in "
        "`peers: [{{ipBlock: {{cidr: 192.0.2.1/32}}}}]`",
    ),
    (
        re.compile(r"transport '\w+' not allowed|\b127\.0\.0\.1:9\b"),
        "a kustomization names something by its URL, and nothing is fetched without --fetch",
    ),
)


def plainly(complaint: str) -> str:
    """What the complaint of kustomize means, with the complaint; the complaint alone where its meaning is not
    known."""
    for pattern, sentence in _CAUSES:
        if found := pattern.search(complaint):
            return f"{sentence.format(**found.groupdict())} ({complaint})"
    return complaint

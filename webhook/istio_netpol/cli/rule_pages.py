"""The pages of the rules, which are part of the program."""

from __future__ import annotations

from importlib.resources import files

from istio_netpol.model.findings import RuleId
from istio_netpol.report.rule_titles import TITLES, RulePages

_FOLDER = files("istio_netpol") / "rule_pages"
"""In a checkout a link to docs/rules, which is where the pages are written."""


def page_of(rule: RuleId) -> str:
    """The Markdown of a rule's page."""
    return (_FOLDER / f"{rule}.md").read_text(encoding="utf-8")


def all_pages(published: str = "") -> RulePages:
    """Every page; `published` is the address of those that a browser finds, if there is one."""
    return RulePages({rule: page_of(rule) for rule in TITLES}, published)

"""The output formats of a check by name, as `-f` takes them. A new one: a file beside this, a row here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from istio_netpol.analysis.results import Report
from istio_netpol.report.github import github
from istio_netpol.report.gitlab import gitlab
from istio_netpol.report.json_format import json_report
from istio_netpol.report.junit import junit
from istio_netpol.report.markdown import markdown
from istio_netpol.report.rule_titles import RulePages
from istio_netpol.report.sarif import sarif
from istio_netpol.report.text import text

Format = Callable[[Report], str]


def formats(pages: RulePages) -> dict[str, Format]:
    """All of them; `pages` are those that a format may hold as help."""
    return {
        "text": text,
        "json": json_report,
        "sarif": partial(sarif, pages=pages),
        "junit": junit,
        "github": github,
        "gitlab": gitlab,
        "markdown": markdown,
    }


FORMATS = formats(RulePages())
"""Without help on rules."""

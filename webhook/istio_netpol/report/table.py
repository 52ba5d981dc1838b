"""The output formats of a check by name, as `-f` takes them. A new one: a file beside this, a row here."""

from __future__ import annotations

from collections.abc import Callable

from istio_netpol.analysis.results import Report
from istio_netpol.report.github import github
from istio_netpol.report.json_format import json_report
from istio_netpol.report.junit import junit
from istio_netpol.report.sarif import sarif
from istio_netpol.report.text import text

Format = Callable[[Report], str]

FORMATS: dict[str, Format] = {
    "text": text,
    "json": json_report,
    "sarif": sarif,
    "junit": junit,
    "github": github,
}

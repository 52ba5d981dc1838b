"""Keeps Istio and Kyma clusters working under deny-all NetworkPolicies.

The packages below form layers, and imports point downwards only: `docs/adr/0001-layers-and-ports.md` names
them and says why, and the contracts in `pyproject.toml` hold the code to it. For programs there are `check`,
`generate` and `explain` (see `docs/python.md`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from istio_netpol.analysis.results import Explanation, Report
    from istio_netpol.api import check, explain, generate
    from istio_netpol.errors import InputError, NetpolError, SettingsError
    from istio_netpol.model.findings import Finding, Severity
    from istio_netpol.model.settings import Settings

__all__ = [
    "Explanation",
    "Finding",
    "InputError",
    "NetpolError",
    "Report",
    "Settings",
    "SettingsError",
    "Severity",
    "__version__",
    "check",
    "explain",
    "generate",
]

__version__ = "0.1.0"

_HOMES = {
    "analysis.results": ("Explanation", "Report"),
    "api": ("check", "explain", "generate"),
    "errors": ("InputError", "NetpolError", "SettingsError"),
    "model.findings": ("Finding", "Severity"),
    "model.settings": ("Settings",),
}
"""Where public names are defined. They are imported when they are asked for: every command starts by
importing this package."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""The settings that decisions are measured with: mode reject, and the operator's word on every JWKS host."""

from __future__ import annotations

from pathlib import Path

import yaml

from benchmarks.synthetic import Size
from istio_netpol.model.settings import AdmissionSettings, HostSettings, Mode, Settings

ADDRESS = "203.0.113.7"


def settings_for(size: Size) -> Settings:
    """No lookups: how fast a DNS server answers is not ours to measure."""
    return Settings(
        hosts=HostSettings(known_addresses=_known(size)),
        admission=AdmissionSettings(default_mode=Mode.REJECT),
    )


def write_settings(path: Path, size: Size) -> Path:
    """The same as a settings file."""
    content = {
        "apiVersion": "istio-netpol.io/v1",
        "kind": "Settings",
        "hosts": {"knownAddresses": {host: list(found) for host, found in _known(size).items()}},
        "admission": {"defaultMode": str(Mode.REJECT)},
    }
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def _known(size: Size) -> dict[str, tuple[str, ...]]:
    return {f"login{number}.example.com": (ADDRESS,) for number in range(size.namespaces)}

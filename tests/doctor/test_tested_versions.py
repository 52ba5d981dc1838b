"""The versions that are called tested are those that the tests pin."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from istio_netpol.model import tested_versions

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.mark.parametrize(
    ("file", "module", "tested"),
    [
        ("kubernetes/go.mod", "k8s.io/kubernetes", tested_versions.KUBERNETES),
        ("crds/go.mod", "istio.io/api", tested_versions.ISTIO),
    ],
)
def test_a_tested_version_is_pinned(file: str, module: str, tested: str) -> None:
    pins = re.findall(rf"^\s+{re.escape(module)} v(\d+\.\d+)\.\d+", (TOOLS / file).read_text(), re.MULTILINE)
    assert pins == [tested]

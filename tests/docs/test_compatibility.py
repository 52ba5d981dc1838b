"""docs/compatibility.md names the versions that the tests run."""

from __future__ import annotations

import re

from tests.docs.transcripts import ROOT
from tests.release.test_pythons import PROMISED

from istio_netpol.model import tested_versions

PAGE = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
TESTED = PAGE.partition("<!-- tested")[2].partition("<!-- end of tested -->")[0]
PINS = ROOT / "tests" / "tools"
MODULES = {
    "Argo CD": ("argocd", "github.com/argoproj/argo-cd/v3"),
    "Gateway API": ("crds", "sigs.k8s.io/gateway-api"),
    "Helm": ("helm", "helm.sh/helm/v3"),
    "Istio": ("crds", "istio.io/api"),
    "Kubernetes": ("kubernetes", "k8s.io/kubernetes"),
    "cert-manager": ("crds", "github.com/cert-manager/cert-manager"),
    "kustomize": ("kustomize", "sigs.k8s.io/kustomize/kustomize/v5"),
}


def told() -> dict[str, str]:
    """The versions that the page calls tested, by what has them; Python apart."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", TESTED, re.MULTILINE)
    return {what: version for what, version in rows if what in MODULES}


def test_the_tested_versions_are_the_pinned_ones() -> None:
    """Whoever raises a pin raises the page."""
    pinned = {}
    for what, (folder, module) in MODULES.items():
        text = (PINS / folder / "go.mod").read_text(encoding="utf-8")
        (pinned[what],) = re.findall(
            rf"^\s*(?:require )?{re.escape(module)} v(\d+\.\d+)\.", text, re.MULTILINE
        )
    assert told() == pinned


def test_doctor_and_page_agree() -> None:
    """The command and the page promise the same."""
    assert told()["Kubernetes"] == tested_versions.KUBERNETES
    assert told()["Istio"] == tested_versions.ISTIO
    oldest = ".".join(map(str, tested_versions.OLDEST_KUBERNETES))
    assert f"the commands need {oldest} |" in PAGE


def test_every_python_of_the_metadata_is_on_the_page() -> None:
    """Tested or not, the page says which."""
    versions = set(re.findall(r"\b3\.1\d\b", "".join(re.findall(r"^\| Python.*$", PAGE, re.MULTILINE))))
    assert versions == set(PROMISED)

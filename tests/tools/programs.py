"""Which programs the tests run, and where they are. Go modules in the folders beside this file pin them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

PINS = Path(__file__).parent
CACHE = PINS.parents[1] / "build" / "tools"


@dataclass(frozen=True, slots=True)
class Program:
    """A Go command; `pin` is the folder of the module that pins its version, `tags` are build tags."""

    name: str
    pin: str
    package: str
    tags: str = ""


PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Program("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl"),
    Program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
    Program("kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy"),
    Program("kustomize", "kustomize", "sigs.k8s.io/kustomize/kustomize/v5"),
    Program("helm", "helm", "helm.sh/helm/v3/cmd/helm"),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    Program("istioctl", "istio", "istio.io/istio/istioctl/cmd/istioctl"),
    Program("pilot-discovery", "istio", "istio.io/istio/pilot/cmd/pilot-discovery"),
    Program("pilot-agent", "istio", "istio.io/istio/pilot/cmd/pilot-agent"),
    Program("coredns", "coredns", "github.com/coredns/coredns"),
    Program("argocd", "argocd", "github.com/argoproj/argo-cd/v3/cmd"),
    Program("miniredis", "argocd", "istio-netpol.io/tests/tools/argocd/miniredis"),
    Program("kustomize-controller", "flux", "github.com/fluxcd/kustomize-controller"),
    # Without service discovery, of which the tests need none, a fifth of the packages is spared.
    Program("promtool", "prometheus", "github.com/prometheus/prometheus/cmd/promtool", "remove_all_sd"),
)

ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
"""Names a folder with etcd, kube-apiserver and kubectl, as it does for controller-runtime's tests."""

ASSETS = ("etcd", "kube-apiserver", "kubectl")


def built() -> Path:
    """The folder for what these pins and this script build; others have a folder of their own."""
    pins = sorted({program.pin for program in PROGRAMS})
    files = [PINS / pin / name for pin in pins for name in ("go.mod", "go.sum")]
    files += sorted(file for pin in pins for file in (PINS / pin).rglob("*.go"))
    digest = hashlib.sha256(repr(PROGRAMS).encode())
    for file in [*files, PINS / "build.py"]:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(PINS).as_posix()} {len(content)}\n".encode() + content)
    return CACHE / digest.hexdigest()[:16]


def located(name: str) -> Path | None:
    """A program that is there to be run: one of the assets, or one that was built."""
    assets = os.environ.get(ASSETS_VARIABLE)
    if assets and name in ASSETS and (asset := Path(assets, name).absolute()).is_file():
        return asset
    program = built() / name
    return program if program.is_file() else None


def absent(*names: str) -> str | None:
    """Why tests that need these programs can't run, with the remedy; None when all are there."""
    missing = [name for name in names if located(name) is None]
    if not missing:
        return None
    needed = " and ".join(filter(None, [", ".join(missing[:-1]), missing[-1]]))
    verb = "is" if len(missing) == 1 else "are"
    return (
        f"tests of a cluster need {needed}, which {verb} not built: run `make tools`, which needs Go, or "
        f"name a folder with etcd, kube-apiserver and kubectl in {ASSETS_VARIABLE}"
    )

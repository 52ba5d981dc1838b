"""Istio's own manifests, as `istioctl` and the `gateway` chart render them."""

from __future__ import annotations

import subprocess
from functools import cache
from typing import Any

import yaml
from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol.manifests.decode import is_known
from istio_netpol.manifests.load import load
from istio_netpol.manifests.raw_objects import RawObject
from istio_netpol.manifests.read import read_documents

INSTALLATIONS = {
    "default": ("--set", "profile=default"),
    "demo": ("--set", "profile=demo"),
    "ambient": ("--set", "profile=ambient"),
    "a revision": ("--set", "profile=default", "--set", "revision=canary"),
    "an egress gateway": (
        "--set",
        "profile=default",
        "--set",
        "components.egressGateways[0].name=istio-egressgateway",
        "--set",
        "components.egressGateways[0].enabled=true",
    ),
    "the CNI agent": ("--set", "profile=default", "--set", "components.cni.enabled=true"),
}
"""What is installed, as arguments of `istioctl manifest generate`."""

NEEDED = {"demo": ["egress-gateway"], "an egress gateway": ["egress-gateway"], "ambient": ["ambient"]}
"""The components of the bundle that an installation asks for."""


@cache
def rendered(*arguments: str) -> str:
    """The manifests of one installation."""
    require("istioctl")
    command = [str(located("istioctl")), "manifest", "generate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@cache
def installed(*arguments: str) -> tuple[Any, ...]:
    """The decoded objects of one installation."""
    return decoded(rendered(*arguments))


def decoded(manifests: str) -> tuple[Any, ...]:
    """Without CustomResourceDefinitions, which are most of the text and no rule reads."""
    kept = [part for part in manifests.split("\n---\n") if "\nkind: CustomResourceDefinition\n" not in part]
    documents = read_documents("\n---\n".join(kept).encode(), "istio.yaml")
    loaded = load(
        document for document in documents if not isinstance(document, RawObject) or is_known(document)
    )
    assert not loaded.problems
    return loaded.objects


def minimal() -> tuple[Any, ...]:
    """istiod alone."""
    return installed("--set", "profile=minimal")


def webhooks(*arguments: str) -> list[dict[str, Any]]:
    """The injector's MutatingWebhookConfigurations of one installation."""
    parts = rendered(*arguments).split("\n---\n")
    found = [yaml.safe_load(part) for part in parts if "kind: MutatingWebhookConfiguration\n" in part]
    return [document for document in found if document["kind"] == "MutatingWebhookConfiguration"]

"""A cluster with workloads of Kyma's modules, made from the table that the rules and components follow."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from msgspec.structs import replace
from tests.bundle.overlays import objects_of, standard

from istio_netpol.bundle.overlays import OF_THE_USUAL_CONTROL_PLANE, kyma_gateway, module_workload
from istio_netpol.platforms.kyma_modules import KYMA_WORKLOADS
from istio_netpol.platforms.kyma_workload import KymaWorkload, OwnPolicies


def usual_kyma() -> tuple[Any, ...]:
    """The usual control plane with Kyma's default gateway."""
    return (*standard(), *objects_of(kyma_gateway()))


BACKEND = "eventing.kyma-project.io/backend"


def kyma_modules(*modules: str, backend: str = "NATS") -> list[Any]:
    """The workloads of some modules, or of all that their own policies leave something to open for."""
    return [
        replace(pods, labels={**pods.labels, BACKEND: backend})
        if known.name == "eventing-publisher-proxy"
        else pods
        for known in KYMA_WORKLOADS
        if known.name not in OF_THE_USUAL_CONTROL_PLANE and _is_asked_for(known, modules)
        for pods in [module_workload(known)]
    ]


def _is_asked_for(known: KymaWorkload, modules: Collection[str]) -> bool:
    if modules:
        return known.module in modules
    return known.own is not OwnPolicies.ON or bool(known.gaps)

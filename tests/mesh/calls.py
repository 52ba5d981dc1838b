"""The handbook's two nginx that call each other, each in a namespace under a deny-all."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tests.mesh import handbook, manifests
from tests.mesh.product import shown
from tests.mesh.traffic import Answer, Inside, get

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh

APP = "nginx"


class Calls:
    """In two namespaces of other names than the handbook's."""

    def __init__(self, mesh: Mesh, mode: str) -> None:
        self._mesh = mesh
        self.namespaces = (f"namespace-a-{mode}", f"namespace-b-{mode}")
        names = dict(zip(("namespace-a", "namespace-b"), self.namespaces, strict=True))
        self._objects = handbook.objects("sidecar-to-sidecar/before", names, mode)

    @property
    def namespaces_alone(self) -> list[dict[str, Any]]:
        """With these all else goes."""
        return [found for found in self._objects if found["kind"] == "Namespace"]

    @property
    def undeclared(self) -> list[dict[str, Any]]:
        """All that is there before somebody says who calls whom."""
        return [*map(_without_annotations, self._objects), *map(_gives_up_quickly, self.namespaces)]

    @property
    def declared(self) -> list[dict[str, Any]]:
        """The Deployments, which say whom they call and who may call them."""
        return [found for found in self._objects if found["kind"] == "Deployment"]

    def are_ready(self) -> bool:
        """Whether both have their sidecars and are ready."""
        return all(self._mesh.ready(namespace, APP) for namespace in self.namespaces)

    def made(self) -> list[Answer]:
        """How a call from each to the other ended; both are made at once."""
        with ThreadPoolExecutor() as pool:
            return list(pool.map(self._call, self.namespaces, reversed(self.namespaces)))

    def all_show(self, symptom: str) -> bool:
        """Whether a row of docs/symptoms.md is in what both got."""
        return all(symptom in shown(answer.seen) for answer in self.made())

    def statuses(self) -> set[int | None]:
        return {answer.status for answer in self.made()}

    def _call(self, caller: str, called: str) -> Answer:
        return get(self._mesh, Inside(caller, APP), f"http://{APP}.{called}.svc.cluster.local:80")


def _without_annotations(found: Mapping[str, Any]) -> dict[str, Any]:
    about = {key: value for key, value in found["metadata"].items() if key != "annotations"}
    return {**found, "metadata": about}


def _gives_up_quickly(namespace: str) -> dict[str, Any]:
    """With Istio's defaults a call waits for half a minute before its caller hears of it."""
    rule = manifests.fresh_connections(namespace, APP)
    rule["spec"]["trafficPolicy"]["connectionPool"]["tcp"] = {"connectTimeout": "1s"}
    return rule

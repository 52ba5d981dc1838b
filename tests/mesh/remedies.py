"""How a cluster that a deny-all cuts is mended: by a person with `istio-netpol generate`, by our webhook and
controller in mode augment, and by a person who applies what a refusal prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from tests.live.terminal import PASTED, REFUSED
from tests.mesh import product
from tests.mesh.enforcement.protocol import Style

if TYPE_CHECKING:
    from tests.mesh.mesh import Mesh
    from tests.mesh.ours import Ours

Manifest = Mapping[str, Any]
TRIES = 3
"""A file of several objects can be refused for one after the other."""


class Remedy(Protocol):
    """How somebody applies objects, and has what they need allowed."""

    mode: str
    """The mode of the namespaces in which it is tried."""
    style: Style
    """How the network plugin refuses packets meanwhile."""

    def apply(self, *objects: Manifest) -> str:
        """Applies objects; what our webhook said of them."""

    def mend(self, *namespaces: str) -> None:
        """Has everything allowed that objects of these namespaces need and policies deny."""


class ByGenerate:
    """`istio-netpol generate | kubectl apply -f -`, in a cluster in which our webhook only warns."""

    mode = "warn"
    style = Style.DROP

    def __init__(self, mesh: Mesh, ours: Ours) -> None:
        self._mesh = mesh

    def apply(self, *objects: Manifest) -> str:
        """The policies are generated from the manifests before there is anything of them."""
        policies = product.generated(self._mesh, as_list(*objects))
        printed = applied(self._mesh, *objects)
        self._apply(policies)
        return policies + printed

    def mend(self, *namespaces: str) -> None:
        self._apply(product.generated(self._mesh))

    def _apply(self, policies: str) -> None:
        done = self._mesh.kubectl("apply", "--filename", "-", stdin=policies) if policies else None
        if done and "AlreadyExists" in done.stderr:
            # Our controller wrote one of them between kubectl's look and its request, as it may for anybody.
            done = self._mesh.kubectl("apply", "--filename", "-", stdin=policies)
        assert not done or done.code == 0, done.stderr
        self._mesh.settled()


class ByAugmenting:
    """The label of a namespace: the webhook writes policies before objects are stored, the controller
    afterwards."""

    mode = "augment"
    style = Style.REJECT

    def __init__(self, mesh: Mesh, ours: Ours) -> None:
        self._mesh = mesh
        self._ours = ours

    def apply(self, *objects: Manifest) -> str:
        printed = applied(self._mesh, *objects)
        self._mesh.settled()
        return printed

    def mend(self, *namespaces: str) -> None:
        for namespace in namespaces:
            self._ours.set_mode(namespace, self.mode)


class ByRefusing(ByGenerate):
    """Objects are refused: somebody applies the policies that the refusal prints, and the same objects again.
    What was there before is mended by `istio-netpol dump | istio-netpol generate -`."""

    mode = "reject"
    style = Style.REJECT

    def apply(self, *objects: Manifest) -> str:
        refusals = ""
        for _ in range(TRIES):
            done = self._mesh.kubectl("apply", "--filename", "-", stdin=as_list(*objects))
            if REFUSED not in done.stderr:
                assert done.code == 0, done.stderr
                self._mesh.settled()
                return refusals
            refusals += done.stderr
            for command in PASTED.findall(done.stderr):
                self._apply(command.partition("\n")[2].removesuffix("EOF"))
        raise AssertionError(f"refused {TRIES} times:\n{refusals}")

    def mend(self, *namespaces: str) -> None:
        self._apply(product.generated_from_a_dump(self._mesh))


def applied(mesh: Mesh, *objects: Manifest) -> str:
    """What `kubectl apply` of these printed, warnings included."""
    done = mesh.kubectl("apply", "--filename", "-", stdin=as_list(*objects))
    assert done.code == 0, done.stderr
    return done.stdout + done.stderr


def as_list(*objects: Manifest) -> str:
    """Objects as one document that kubectl takes."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})

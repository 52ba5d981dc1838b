"""The catalogue dispatches objects to rules."""

from __future__ import annotations

from tests.istio.builders import coredns, istiod, labelled, view
from tests.values import deny_all, namespace

from istio_netpol.istio.catalogue import CATALOGUE, outcomes_of
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import RequiredFlow
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.services import Service
from istio_netpol.model.workloads import Workload
from istio_netpol.state.reads import object_read


def test_every_rule_that_looks_at_a_type_is_asked() -> None:
    """istiod needs DNS and the API server, and is called by it."""
    pods = istiod()
    kinds = {
        outcome.kind
        for outcome in outcomes_of(pods, view(pods, coredns()))
        if isinstance(outcome, RequiredFlow)
    }
    assert kinds >= {"dns", "to-apiserver", "webhook-from-apiserver"}


def test_types_that_no_rule_looks_at_have_no_outcomes() -> None:
    """A NetworkPolicy needs no connection."""
    policy = deny_all("shop")
    assert outcomes_of(policy, view(policy)) == ()


def test_rules_have_names_of_their_own_and_sources() -> None:
    """Each row says where its behaviour is documented."""
    assert len({rule.name for rule in CATALOGUE}) == len(CATALOGUE)
    assert all(rule.sources and rule.subjects for rule in CATALOGUE)


def test_pieces_of_work_share_answers_and_have_notes_of_their_own() -> None:
    """The notes of one evaluation do not mix with another's."""
    web = labelled("shop/web", {"app": "web"})
    mesh = view(namespace("shop", **{"istio-injection": "enabled"}), web)
    first, asked = mesh.noting(lambda: mesh.injection(web))
    second, asked_again = mesh.noting(lambda: mesh.injection(web))
    assert first is second
    assert asked == asked_again
    service = object_read(Service, "shop", "Service", "web")
    assert mesh.noting(lambda: mesh.find_service("shop", "web")) == (None, {service})


def test_what_fails_has_asked_too() -> None:
    """A rule that stumbles over an object is asked anew when the object is another one."""
    mesh = view()

    def stumble() -> None:
        try:
            mesh.noting(lambda: (mesh.find_service("shop", "web"), 1 // 0))
        except ZeroDivisionError:
            return

    assert mesh.noting(stumble) == (None, {object_read(Service, "shop", "Service", "web")})


def test_order_of_reading_does_not_matter() -> None:
    """The outcomes of a workload are the same whatever was asked before."""
    web = labelled("shop/web", {"sidecar.istio.io/inject": "true"})
    objects = (web, istiod(), *coredns())

    def told(mesh: MeshView) -> list[object]:
        return [outcome.key for outcome in outcomes_of(web, mesh) if isinstance(outcome, RequiredFlow)]

    warmed = view(*reversed(objects))
    outcomes_of(objects[1], warmed)
    assert told(warmed) == told(view(*objects))


def test_pods_that_a_tenant_labels_as_istiod_are_none() -> None:
    """Nobody makes the proxies of others connect to pods of their own by calling these istiod."""
    assert [str(workload.ref) for workload in view(istiod("rival/istiod")).istiods()] == [
        "Deployment istio-system/istiod"
    ]
    assert view(istiod("rival/istiod")).istiods()[0].ref.file == "(assumed)"


def test_workloads_outside_the_snapshot_may_be_asked_about() -> None:
    """An object under review need not be stored yet."""
    ref = ObjectRef("apps/v1", "Deployment", "shop", "new")
    new = Workload(ref, {"sidecar.istio.io/inject": "true"})
    assert {
        outcome.kind for outcome in outcomes_of(new, view(istiod())) if isinstance(outcome, RequiredFlow)
    } >= {
        "proxy-to-istiod",
        "dns",
    }

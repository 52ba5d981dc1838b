"""Which pods get a sidecar: every case of the injector's webhooks, in order of precedence."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.istio.builders import ingress_gateway, labelled, ref, view
from tests.values import namespace

from istio_netpol.istio.view.mesh_view import Injection
from istio_netpol.model.control_plane import (
    InjectionTemplate,
    InjectorConfig,
    RegisteredInjector,
    RevisionTag,
)
from istio_netpol.model.labels import Operator, Requirement, Selector
from istio_netpol.model.settings import MeshSettings, Settings
from istio_netpol.model.workloads import Owner
from istio_netpol.state.reads import namespace_read

ENABLED = {"istio-injection": "enabled"}
DISABLED = {"istio-injection": "disabled"}
REVISION = {"istio.io/rev": "canary"}
INJECT, KEEP_OUT = {"sidecar.istio.io/inject": "true"}, {"sidecar.istio.io/inject": "false"}

BY_NAMESPACE = "namespace shop has label istio-injection=enabled"
BY_REVISION = "namespace shop has label istio.io/rev=canary"
SHUT = "namespace shop has label istio-injection=disabled"
BY_POD = "its pods have label sidecar.istio.io/inject=true"
BY_POD_REVISION = "its pods have label istio.io/rev=canary"
OPTED_OUT = "its pods have label sidecar.istio.io/inject=false"
ANNOTATED_OUT = "its pods have annotation sidecar.istio.io/inject=false"
NOBODY_ASKS = "neither namespace shop nor the pods ask for injection"


@pytest.mark.parametrize(
    ("on_namespace", "on_pods", "annotations", "expected"),
    [
        ({}, {}, {}, Injection(False, "", NOBODY_ASKS)),
        (ENABLED, {}, {}, Injection(True, "", BY_NAMESPACE)),
        (DISABLED, {}, {}, Injection(False, "", SHUT)),
        (REVISION, {}, {}, Injection(True, "canary", BY_REVISION)),
        (
            {"istio.io/rev": "default"},
            {},
            {},
            Injection(True, "", "namespace shop has label istio.io/rev=default"),
        ),
        # The toggle beats the revision beside it.
        ({**ENABLED, **REVISION}, {}, {}, Injection(True, "", BY_NAMESPACE)),
        ({**DISABLED, **REVISION}, {}, {}, Injection(False, "", SHUT)),
        # No webhook is called for a namespace that is shut, whatever the pod says.
        (DISABLED, INJECT, {}, Injection(False, "", SHUT)),
        (DISABLED, REVISION, {}, Injection(False, "", SHUT)),
        (
            {"istio-injection": ""},
            INJECT,
            {},
            Injection(False, "", "namespace shop has label istio-injection="),
        ),
        # A pod opts out by label.
        (ENABLED, KEEP_OUT, {}, Injection(False, "", OPTED_OUT)),
        (REVISION, KEEP_OUT, {}, Injection(False, "", OPTED_OUT)),
        ({}, {**KEEP_OUT, **REVISION}, {}, Injection(False, "", OPTED_OUT)),
        # A pod opts out by annotation, unless its label says otherwise.
        (ENABLED, {}, KEEP_OUT, Injection(False, "", ANNOTATED_OUT)),
        (ENABLED, INJECT, KEEP_OUT, Injection(True, "", BY_NAMESPACE)),
        (ENABLED, KEEP_OUT, INJECT, Injection(False, "", OPTED_OUT)),
        # The annotation asks in vain where no webhook is called.
        ({}, {}, INJECT, Injection(False, "", NOBODY_ASKS)),
        # Words other than true and false count for nothing.
        (ENABLED, {}, {"sidecar.istio.io/inject": "no"}, Injection(True, "", BY_NAMESPACE)),
        (ENABLED, {"sidecar.istio.io/inject": "no"}, {}, Injection(True, "", BY_NAMESPACE)),
        ({}, {"sidecar.istio.io/inject": "yes"}, {}, Injection(False, "", NOBODY_ASKS)),
        # Pods ask for themselves where the namespace says nothing.
        ({}, INJECT, {}, Injection(True, "", BY_POD)),
        ({}, REVISION, {}, Injection(True, "canary", BY_POD_REVISION)),
        ({}, {**INJECT, **REVISION}, {}, Injection(True, "canary", BY_POD_REVISION)),
        # The namespace's revision beats the pod's.
        (REVISION, {"istio.io/rev": "stable"}, {}, Injection(True, "canary", BY_REVISION)),
        (ENABLED, REVISION, {}, Injection(True, "", BY_NAMESPACE)),
    ],
)
def test_labels_decide_on_injection(
    on_namespace: dict[str, str], on_pods: dict[str, str], annotations: dict[str, str], expected: Injection
) -> None:
    """The namespace's toggle, the pod's opt-out, the revisions, then the pod's wish, in that order."""
    web = replace(labelled("shop/web", {"app": "web", **on_pods}), annotations=annotations)
    found = view(namespace("shop", **on_namespace), web).injection(web)
    assert replace(found, labels_tls=False) == expected
    assert found.labels_tls == found.injected


@pytest.mark.parametrize(
    ("on_namespace", "on_pods", "injected"),
    [
        ({}, {}, True),
        ({}, KEEP_OUT, False),
        (DISABLED, {}, False),
        ({}, INJECT, True),
        ({}, {"sidecar.istio.io/inject": "yes"}, False),
    ],
)
def test_mesh_may_inject_every_namespace(
    on_namespace: dict[str, str], on_pods: dict[str, str], injected: bool
) -> None:
    """With enableNamespacesByDefault, pods that say nothing are injected in namespaces that say nothing."""
    settings = Settings(mesh=MeshSettings(enable_namespaces_by_default=True))
    web = labelled("shop/web", on_pods)
    assert view(namespace("shop", **on_namespace), web, settings=settings).injection(web).injected is injected


def injector(revision: str = "", **fields: Any) -> InjectorConfig:
    return InjectorConfig(ref("v1", "ConfigMap", "istio-system/istio-sidecar-injector"), revision, **fields)


JOB = Selector(match_expressions=(Requirement("job-name", Operator.EXISTS),))
NEVER = "neverInjectSelector of ConfigMap istio-system/istio-sidecar-injector selects its pods"
ASKED = "ConfigMap istio-system/istio-sidecar-injector injects pods that ask for it only"


@pytest.mark.parametrize(
    ("fields", "on_pods", "annotations", "expected"),
    [
        ({"never": (JOB,)}, {"job-name": "a"}, {}, Injection(False, "", NEVER)),
        ({"never": (JOB,)}, {}, {}, Injection(True, "", BY_NAMESPACE)),
        ({"never": (JOB,)}, {"job-name": "a", **INJECT}, {}, Injection(True, "", BY_NAMESPACE)),
        ({"never": (JOB,)}, {"job-name": "a"}, INJECT, Injection(True, "", BY_NAMESPACE)),
        ({"never": (JOB,), "always": (JOB,)}, {"job-name": "a"}, {}, Injection(False, "", NEVER)),
        ({"injects": False}, {}, {}, Injection(False, "", ASKED)),
        ({"injects": False}, INJECT, {}, Injection(True, "", BY_NAMESPACE)),
        ({"injects": False, "always": (JOB,)}, {"job-name": "a"}, {}, Injection(True, "", BY_NAMESPACE)),
        ({"injects": False, "always": (JOB,)}, KEEP_OUT, {}, Injection(False, "", OPTED_OUT)),
    ],
)
def test_injector_decides_on_pods_that_say_nothing(
    fields: dict[str, Any], on_pods: dict[str, str], annotations: dict[str, str], expected: Injection
) -> None:
    """neverInjectSelector, alwaysInjectSelector, policy, in that order; none against the pod's own word."""
    web = replace(labelled("shop/web", {"app": "web", **on_pods}), annotations=annotations)
    found = view(namespace("shop", **ENABLED), web, injector(**fields)).injection(web)
    assert replace(found, labels_tls=False) == expected


@pytest.mark.parametrize("kind", ["Job", "CronJob"])
def test_pods_of_jobs_carry_the_name_of_their_job(kind: str) -> None:
    """The controller adds the label that injectors are told to leave out, the manifest does not show it."""
    web = labelled("shop/web", {"app": "web"})
    job = replace(web, ref=replace(web.ref, api_version="batch/v1", kind=kind))
    mesh = view(namespace("shop", **ENABLED), job, injector(never=(JOB,)))
    assert mesh.injection(job) == Injection(False, "", NEVER)


def test_injector_of_another_revision_has_no_say() -> None:
    """Each revision has an injector of its own."""
    web = labelled("shop/web", {"job-name": "a"})
    mesh = view(namespace("shop", **ENABLED), web, injector("canary", never=(JOB,)))
    assert mesh.injection(web).injected


def test_chart_says_that_every_namespace_is_injected() -> None:
    """enableNamespacesByDefault is among the injector's values."""
    web = labelled("shop/web", {"app": "web"})
    mesh = view(namespace("shop"), web, injector(enable_namespaces_by_default=True))
    assert mesh.injection(web).injected


@pytest.mark.parametrize(
    ("on_namespace", "tag", "revision"),
    [({"istio.io/rev": "prod"}, "prod", "1-28"), (ENABLED, "default", "1-28"), (REVISION, "prod", "canary")],
)
def test_tag_stands_for_a_revision(on_namespace: dict[str, str], tag: str, revision: str) -> None:
    """The tag's webhook configuration says which; the tag `default` serves istio-injection=enabled."""
    web = labelled("shop/web", {"app": "web"})
    tagged = RevisionTag(
        ref("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", f"/tag-{tag}"), tag, "1-28"
    )
    assert view(namespace("shop", **on_namespace), web, tagged).injection(web).revision == revision


@pytest.mark.parametrize(
    ("on_namespace", "on_pods", "injected"),
    [
        ({"istio.io/rev": "canary"}, {}, True),
        ({"istio.io/rev": "prod"}, {}, True),
        ({"istio.io/rev": "nowhere"}, {}, False),
        ({"istio.io/rev": "nowhere"}, INJECT, False),
        ({}, {"istio.io/rev": "nowhere"}, False),
        # Nobody but the injector without a revision is asked about these.
        (ENABLED, {}, False),
        (ENABLED, {"istio.io/rev": "canary"}, False),
        ({}, INJECT, False),
    ],
)
def test_only_registered_injectors_inject(
    on_namespace: dict[str, str], on_pods: dict[str, str], injected: bool
) -> None:
    """A cluster has the injector of revision canary alone, and a tag for it: all other names mean nobody."""
    kind = "MutatingWebhookConfiguration"
    registered = RegisteredInjector(ref("admissionregistration.k8s.io/v1", kind, "/canary"), "canary")
    tag = RevisionTag(ref("admissionregistration.k8s.io/v1", kind, "/prod"), "prod", "canary")
    web = labelled("shop/web", on_pods)
    found = view(namespace("shop", **on_namespace), web, registered, tag).injection(web)
    assert found.injected is injected
    assert injected or "and the cluster has no injector of revision" in found.reason


@pytest.mark.parametrize("where", ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"])
def test_system_namespaces_are_never_injected(where: str) -> None:
    """The injector ignores four namespaces, whatever labels say."""
    web = labelled(f"{where}/web", INJECT)
    found = view(namespace(where, **ENABLED), web).injection(web)
    assert found == Injection(False, "", f"the injector ignores namespace {where}")


def test_host_network_is_never_injected() -> None:
    """A sidecar would redirect the whole node's traffic."""
    web = replace(labelled("shop/web", INJECT), host_network=True)
    found = view(namespace("shop", **ENABLED), web).injection(web)
    assert found == Injection(False, "", "hostNetwork pods are never injected")


@pytest.mark.parametrize(
    ("on_namespace", "on_pods", "revision"),
    [
        (DISABLED, {}, ""),
        ({}, REVISION, "canary"),
        (REVISION, {}, "canary"),
        ({**ENABLED, **REVISION}, {}, ""),
    ],
)
def test_proxy_that_runs_already_settles_it(
    on_namespace: dict[str, str], on_pods: dict[str, str], revision: str
) -> None:
    """Pods that were injected by hand, or before labels changed, have a proxy now."""
    web = replace(labelled("shop/web", on_pods), has_proxy=True)
    found = view(namespace("shop", **on_namespace), web).injection(web)
    assert found == Injection(True, revision, "its pods have an istio-proxy container", labels_tls=True)


@pytest.mark.parametrize(("on_namespace", "injected"), [({}, False), (ENABLED, True)])
def test_status_annotation_alone_makes_no_proxy(on_namespace: dict[str, str], injected: bool) -> None:
    """What the injector put into a pod stands in it; anybody can write the annotation, and the injector does
    not read it."""
    web = replace(labelled("shop/web", {}), annotations={"sidecar.istio.io/status": "{}"})
    assert view(namespace("shop", **on_namespace), web).injection(web).injected is injected


def test_ztunnel_is_no_sidecar() -> None:
    """ztunnel's container has the sidecar's name."""
    ztunnel = replace(labelled("istio-system/ztunnel", {"app": "ztunnel"}), has_proxy=True)
    assert view(ztunnel).injection(ztunnel) == Injection(False, "", "ztunnel is not a sidecar")


def test_the_name_of_ztunnel_keeps_no_injector_away() -> None:
    """Pods of the mesh that are labelled like ztunnel are injected: the injector does not know it."""
    web = labelled("shop/web", {"app": "ztunnel"})
    home = namespace("shop", **ENABLED)
    assert view(home, web).injection(web).injected
    injected = replace(web, has_proxy=True, annotations={"sidecar.istio.io/status": "{}"})
    assert view(home, injected).injection(injected).injected


AMBIENT, NONE = {"istio.io/dataplane-mode": "ambient"}, {"istio.io/dataplane-mode": "none"}


@pytest.mark.parametrize(
    ("on_namespace", "on_pods", "captured"),
    [
        ({}, {}, False),
        (AMBIENT, {}, True),
        ({}, AMBIENT, True),
        (AMBIENT, NONE, False),
        (NONE, AMBIENT, True),
        (AMBIENT, {"istio.io/dataplane-mode": "other"}, True),
        # A proxy of its own wins.
        ({**AMBIENT, **ENABLED}, {}, False),
        (AMBIENT, INJECT, False),
        (AMBIENT, {"istio.io/rev": "canary"}, False),
        (AMBIENT, {"gateway.networking.k8s.io/gateway-name": "waypoint"}, False),
        (AMBIENT, {"app": "ztunnel"}, False),
    ],
)
def test_labels_decide_on_ambient_mode(
    on_namespace: dict[str, str], on_pods: dict[str, str], captured: bool
) -> None:
    """ztunnel captures pods that have no proxy, by the namespace's label or their own."""
    web = labelled("shop/web", on_pods)
    mesh = view(namespace("shop", **on_namespace), web)
    assert mesh.is_ambient(web) is captured


def test_ambient_mode_does_not_capture_the_host_network() -> None:
    """The node's own network is left alone."""
    web = replace(labelled("shop/web", {}), host_network=True)
    mesh = view(namespace("shop", **AMBIENT), web)
    assert not mesh.is_ambient(web)


@pytest.mark.parametrize(
    ("on_namespace", "on_pods", "in_mesh"),
    [
        ({}, {}, False),
        (ENABLED, {}, True),
        (AMBIENT, {}, True),
        ({}, {"istio.io/gateway-name": "public"}, True),
    ],
)
def test_mesh_has_three_kinds_of_members(
    on_namespace: dict[str, str], on_pods: dict[str, str], in_mesh: bool
) -> None:
    """Sidecars, ambient pods and gateways are in the mesh."""
    web = labelled("shop/web", on_pods)
    assert view(namespace("shop", **on_namespace), web).in_mesh(web) is in_mesh


def test_classic_gateway_is_in_the_mesh() -> None:
    """The classic chart's gateway pods say that they are not to be injected, and run a proxy."""
    pods = ingress_gateway()
    assert view(namespace("istio-system", **DISABLED), pods).in_mesh(pods)


def test_injection_depends_on_the_namespace() -> None:
    """What was looked up is noted, so that a change of the namespace's labels finds its users."""
    web = labelled("shop/web", {})
    mesh = view(web)
    for _ in range(2):
        assert namespace_read("shop") in mesh.noting(lambda: mesh.injection(web))[1]


NO_PROXY = InjectionTemplate()
TEMPLATES = "inject.istio.io/templates"


@pytest.mark.parametrize(
    ("templates", "injected", "in_plain", "labels_tls", "unknown"),
    [
        ("sidecar", True, False, True, ""),
        ("gateway", True, False, False, ""),
        ("grpc-agent", True, False, False, ""),
        ("grpc-simple", False, True, False, ""),
        (" grpc-simple , hello", False, True, False, ""),
        ("grpc-simple,theirs", False, True, False, "theirs"),
        ("sidecar,hello", True, False, True, ""),
        ("hello", False, False, False, ""),
        ("theirs", False, False, False, "theirs"),
        ("sidecar, theirs", True, False, True, ""),
        ("both", True, False, True, ""),
    ],
)
def test_templates_say_whether_there_is_a_proxy(
    templates: str, injected: bool, in_plain: bool, labels_tls: bool, unknown: str
) -> None:
    """The chart's own, custom ones that the injector has, and aliases; who names one with a proxy has one."""
    web = replace(labelled("shop/web", {}), annotations={TEMPLATES: templates})
    config = injector(templates={"hello": NO_PROXY}, aliases={"both": ("sidecar", "hello")})
    found = view(namespace("shop", **ENABLED), web, config).injection(web)
    assert (found.injected, found.asks_in_plain, found.labels_tls) == (injected, in_plain, labels_tls)
    assert found.unknown_template == unknown


def test_the_injector_has_default_templates_and_its_own_of_a_known_name() -> None:
    """Pods that name none get those; what the ConfigMap has goes before what the chart usually has."""
    web = labelled("shop/web", {})
    config = injector(templates={"hello": NO_PROXY}, default_templates=("hello",))
    found = view(namespace("shop", **ENABLED), web, config).injection(web)
    assert (found.injected, found.reason) == (
        False,
        "the injector's default is a template that adds no proxy",
    )
    config = injector(templates={"sidecar": NO_PROXY})
    assert not view(namespace("shop", **ENABLED), web, config).injection(web).injected


OWNED = Owner("apps/v1", "Deployment", "web")
STATUS = {"sidecar.istio.io/status": "{}"}
IN_PLAIN = {**STATUS, TEMPLATES: "grpc-simple"}


@pytest.mark.parametrize(
    ("fields", "injected", "in_plain", "next_start"),
    [
        # What runs without a proxy has none, whatever its namespace says since.
        ({"owner": OWNED}, False, False, (True, False)),
        ({"owner": OWNED, "annotations": {TEMPLATES: "grpc-simple"}}, False, False, (False, True)),
        ({"owner": OWNED, "annotations": {TEMPLATES: "hello"}}, False, False, None),
        # Nobody makes such pods anew, or the kubelet does, without the injector.
        ({"ref": ref("v1", "Pod", "shop/web")}, False, False, None),
        ({"owner": Owner("v1", "Node", "worker")}, False, False, None),
        # What was injected shows it, by the injector's mark where it added no proxy.
        ({"owner": OWNED, "has_proxy": True}, True, False, None),
        ({"owner": OWNED, "annotations": IN_PLAIN}, False, True, None),
    ],
)
def test_pods_that_exist_show_what_they_have(
    fields: dict[str, Any], injected: bool, in_plain: bool, next_start: tuple[bool, bool] | None
) -> None:
    """What their controller's template brings at the next start is told apart."""
    web = replace(labelled("shop/web", {}), exists=True, **fields)
    config = injector(templates={"hello": NO_PROXY})
    found = view(namespace("shop", **ENABLED), web, config).injection(web)
    assert (found.injected, found.asks_in_plain) == (injected, in_plain)
    following = found.next_start
    assert (following and (following.injected, following.asks_in_plain)) == next_start


@pytest.mark.parametrize(
    ("fields", "seen", "next_start"),
    [
        ({}, "1-28", "1-30"),
        # Whoever is made anew by nobody, was injected by hand, or is of that revision already stays as it is.
        ({"ref": ref("v1", "Pod", "shop/web")}, "1-28", None),
        ({"annotations": {"istio.io/rev": "1-28"}}, "1-28", None),
        ({"annotations": {**STATUS, "istio.io/rev": "1-30"}}, "1-30", None),
        ({"exists": False}, "1-28", None),
    ],
)
def test_pods_of_an_old_revision_get_another_proxy_at_their_next_start(
    fields: dict[str, Any], seen: str, next_start: str | None
) -> None:
    """In a namespace that moves to a new revision pods have the proxy of the old one until somebody restarts
    them."""
    old = {"exists": True, "has_proxy": True, "annotations": {**STATUS, "istio.io/rev": "1-28"}}
    web = replace(labelled("shop/web", {}), **{"owner": OWNED, **old, **fields})
    found = view(namespace("shop", **{"istio.io/rev": "1-30"}), web).injection(web)
    assert (found.injected, found.revision) == (True, seen)
    assert (found.next_start and found.next_start.revision) == next_start

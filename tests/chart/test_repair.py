"""A cluster in which every replica of the webhook is dead, repaired with kubectl as docs/repair.md says."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chart.objects import DEPLOYMENT, POD, POLICY, SERVICE
from tests.chart.registration import configurations, registered
from tests.chart.rendering import NAMESPACE, RELEASE, Manifest
from tests.cluster.clients import Outcome
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import require
from tests.cluster.server_process import free_port

from istio_netpol.certs.self_signed import make_self_signed

pytestmark = pytest.mark.xdist_group("repair")  # what it starts is started once

PAGE = (Path(__file__).parents[2] / "docs" / "repair.md").read_text()
COMMANDS = re.findall(r"^\$ kubectl (.*)$", PAGE, re.MULTILINE)
REFUSED = 'failed calling webhook "opted-in.istio-netpol.io"'


@pytest.fixture(scope="module")
def dead(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A cluster whose API server calls a webhook that nobody runs."""
    require("helm")
    ca = make_self_signed(tmp_path_factory.mktemp("dead"), ("127.0.0.1",)).ca.read_bytes()
    url = f"https://127.0.0.1:{free_port()}"
    control_plane.kubectl()("create", "namespace", NAMESPACE)
    probe = control_plane.namespace({"istio-netpol.io/mode": "reject"})
    with registered(control_plane, configurations(url, base64.b64encode(ca).decode())):
        kubectl = control_plane.kubectl()
        dry = ("--dry-run=server", "--namespace", probe)
        control_plane.wait_until(
            "the dead webhook is called", lambda: REFUSED in kubectl.apply(POLICY, options=dry).stderr
        )
        yield control_plane


@pytest.fixture
def stuck(dead: ControlPlane) -> str:
    """A namespace of mode reject with a Deployment, a Service and a policy of before."""
    name = dead.namespace({"istio-netpol.io/mode": "off"})
    for manifest in (DEPLOYMENT, SERVICE, POLICY):
        assert applied(dead, name, manifest).code == 0
    # Opting in is itself sent to the webhook; here it was done while that still lived.
    account = f"system:serviceaccount:{NAMESPACE}:{RELEASE}-controller"
    as_ours = ("--as", account, "--as-group", "system:masters")
    label = ("label", "namespace", name, "istio-netpol.io/mode=reject", "--overwrite")
    assert dead.kubectl()(*label, *as_ours).code == 0
    return name


def applied(plane: ControlPlane, namespace: str, manifest: Manifest) -> Outcome:
    return plane.kubectl().apply(manifest, options=("--namespace", namespace))


def typed(plane: ControlPlane, start: str, namespace: str = "") -> Outcome:
    """A command of the page, as somebody types it."""
    (command,) = (command for command in COMMANDS if command.startswith(start))
    return plane.kubectl()(*command.replace("NAMESPACE", namespace).split())


def renamed(manifest: Manifest) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "name": "another"}}


def test_what_opted_in_is_closed(dead: ControlPlane, stuck: str) -> None:
    """`reject` means that nothing unreviewed gets in, and the message says which webhook is missing."""
    for manifest in (DEPLOYMENT, SERVICE, POLICY):
        outcome = applied(dead, stuck, renamed(manifest))
        assert outcome.code != 0
        assert REFUSED in outcome.stderr


@pytest.mark.parametrize("mode", ["reject", "augment"])
def test_pods_of_controllers_come_back(dead: ControlPlane, mode: str) -> None:
    """A node that fails while no replica answers takes no workload with it: the controllers' pods are stored,
    while a person's pod with the same owner is refused."""
    namespace = dead.namespace({"istio-netpol.io/mode": mode})
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "cart", "uid": "gone", "controller": True}
    pod = {**POD, "metadata": {**POD["metadata"], "ownerReferences": [owner]}}  # type: ignore[dict-item]
    refused = applied(dead, namespace, pod)
    assert REFUSED in refused.stderr
    controller = ("--as", "system:serviceaccount:kube-system:replicaset-controller")
    options = ("--namespace", namespace, *controller, "--as-group", "system:masters")
    outcome = dead.kubectl().apply(pod, options=options)
    assert outcome.code == 0, outcome.stderr


@pytest.mark.parametrize("place", ["kube-system", NAMESPACE, ""])
def test_what_a_cluster_comes_back_by_is_open(dead: ControlPlane, place: str) -> None:
    """kube-system, our own namespace and every namespace that did not opt in work as ever."""
    name = place or dead.namespace()
    try:
        for manifest in (DEPLOYMENT, SERVICE, POLICY):
            outcome = applied(dead, name, manifest)
            assert outcome.code == 0, outcome.stderr
    finally:
        dead.kubectl()("--namespace", name, "delete", "deployment,service,networkpolicy", "cart")


@pytest.mark.parametrize(
    "command",
    [
        "scale deployment cart --replicas=0",
        "annotate deployment cart example.com/note=seen",
        "delete deployment cart",
        "delete service cart",
    ],
)
def test_what_takes_no_flow_works(dead: ControlPlane, stuck: str, command: str) -> None:
    """Scaling and deleting need no webhook, opted in or not."""
    outcome = dead.kubectl()("--namespace", stuck, *command.split())
    assert outcome.code == 0, outcome.stderr


def test_a_namespace_can_be_deleted(dead: ControlPlane, stuck: str) -> None:
    """Kubernetes empties a deleted namespace, policies included."""
    account = "system:serviceaccount:kube-system:namespace-controller"
    delete = ("--namespace", stuck, "delete", "networkpolicy", "cart")
    by_person = dead.kubectl()(*delete)
    assert REFUSED in by_person.stderr
    outcome = dead.kubectl()(*delete, "--as", account, "--as-group", "system:masters")
    assert outcome.code == 0, outcome.stderr


def test_a_namespace_is_let_go(dead: ControlPlane, stuck: str) -> None:
    """Mode `off` gets through and opens the namespace at once."""
    outcome = typed(dead, "label namespace", stuck)
    assert outcome.code == 0, outcome.stderr
    dead.wait_until("policies can be applied", lambda: applied(dead, stuck, renamed(POLICY)).code == 0)
    outcome = dead.kubectl()("--namespace", stuck, "delete", "networkpolicy", "cart")
    assert outcome.code == 0, outcome.stderr


def test_the_cluster_is_let_go(dead: ControlPlane, stuck: str) -> None:
    """Deleting both configurations ends every review, and they come back by being applied again."""
    kubectl = dead.kubectl()
    kinds = "validatingwebhookconfiguration,mutatingwebhookconfiguration"
    items = kubectl("get", kinds, "--output", "json").json
    outcome = typed(dead, "delete validatingwebhookconfiguration")
    assert outcome.code == 0, outcome.stderr
    dead.wait_until("policies can be applied", lambda: applied(dead, stuck, renamed(POLICY)).code == 0)
    for configuration in items["items"]:
        del configuration["metadata"]["resourceVersion"], configuration["metadata"]["uid"]
    assert kubectl("create", "--filename", "-", stdin=json.dumps(items)).code == 0

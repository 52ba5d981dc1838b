"""Finds out whether NetworkPolicies are enforced, with two pods in a namespace of their own.

A server is called by a pod that ends when the call has succeeded or failed: once as it is, then under a
policy that denies all ingress. What a pod did is read from its phase, so that neither exec nor logs are
needed.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

from istio_netpol.doctor.survey import NOT_FOUND, dig
from istio_netpol.errors import ApiError
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.resources import NAMESPACES, NETWORK_POLICIES, PODS, SERVICE_ACCOUNTS, Resource
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.own_names import MODE_LABEL, PROBE_LABEL

TOPIC = "Network plugin"
LOOKED_AT = "probe"
_TRIES = 3
IMAGE = "registry.k8s.io/e2e-test-images/agnhost:2.53"
"""Kubernetes' own test image: `netexec` answers, `connect` calls once and ends (test/images/agnhost)."""

PORT = 8080
CALL_SECONDS = 5
SETTLE_SECONDS = 5.0
"""How long a policy may take until it is enforced."""

LONGEST_SECONDS = 300
"""The pods end by themselves after so long, even if the process that made them was killed."""

_NAME = "probe"


class ProbePace(Struct, frozen=True):
    """How time passes while pods start: `seconds` for each of them."""

    seconds: float = 90.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class ProbeError(Exception):
    """Says why the probe came to no result."""


def probe(
    connection: ApiConnection, tell: Callable[[str], None], image: str = IMAGE, pace: ProbePace | None = None
) -> Diagnosis:
    """Whether a policy that denies all ingress is enforced. Everything that was made is deleted again, after
    Ctrl-C too; the finding names what could not be deleted."""
    try:
        with _room(connection, tell) as namespace:
            return _outcome(_Probe(connection, namespace, image, pace or ProbePace()))
    except (ApiError, ProbeError) as error:
        return Diagnosis(TOPIC, LOOKED_AT, f"came to no result: {error}", Health.NOT_SEEN, _WITHOUT)


_WITHOUT = (
    "see that its pods can start (--probe-image names another image), and that you may create namespaces, "
    "service accounts, pods and NetworkPolicies"
)


def _outcome(run: _Probe) -> Diagnosis:
    address = run.start_server()
    if not run.connects("before", address):
        raise ProbeError("the pods can't reach each other without a policy in their namespace either")
    run.deny()
    for number in range(_TRIES):
        if not run.connects(f"after-{number}", address):
            return Diagnosis(TOPIC, LOOKED_AT, "a policy that denies all ingress was enforced")
    return Diagnosis(
        TOPIC,
        LOOKED_AT,
        "a policy that denies all ingress was not enforced",
        Health.WRONG,
        "install a network plugin that enforces NetworkPolicies, or switch it on",
    )


@contextmanager
def _room(connection: ApiConnection, tell: Callable[[str], None]) -> Iterator[str]:
    """A namespace of the probe's own, which is deleted afterwards."""
    name = f"istio-netpol-probe-{secrets.token_hex(4)}"
    labels = {
        PROBE_LABEL: "true",
        MODE_LABEL: "off",
        "istio-injection": "disabled",
        "pod-security.kubernetes.io/enforce": "restricted",
    }
    is_refused = False
    try:
        try:
            _create(connection, NAMESPACES, "", {"metadata": {"name": name, "labels": labels}})
        except ApiError as error:
            # Without an answer nobody knows whether it is there.
            is_refused = bool(error.status)
            raise
        yield name
    finally:
        if not is_refused and not _deleted(connection, name):
            tell(f"left behind: Namespace {name}; delete it with kubectl delete namespace {name}")


def _deleted(connection: ApiConnection, name: str) -> bool:
    """Deletes pods at once and their namespace with the rest; another Ctrl-C does not stop it halfway."""
    for _ in range(_TRIES):
        try:
            with suppress(ApiError):
                connection.send("DELETE", PODS.path(name), b'{"gracePeriodSeconds": 0}')
            connection.send("DELETE", NAMESPACES.path(name=name), b"{}")
        except KeyboardInterrupt:
            continue
        except ApiError as error:
            if error.status == NOT_FOUND:
                return True
        else:
            return True
    return False


class _Probe:
    """One run of the probe in its namespace."""

    def __init__(self, connection: ApiConnection, namespace: str, image: str, pace: ProbePace) -> None:
        self._connection = connection
        self._namespace = namespace
        self._image = image
        self._pace = pace
        account = {"metadata": {"name": _NAME}, "automountServiceAccountToken": False}
        _create(connection, SERVICE_ACCOUNTS, namespace, account)

    def start_server(self) -> str:
        """The address of the pod that answers."""
        self._create_pod("server", ["netexec", f"--http-port={PORT}"])
        pod = self._awaited("server", lambda pod: dig(pod, "status", "phase") == "Running" and _is_ready(pod))
        return str(dig(pod, "status", "podIP"))

    def connects(self, name: str, address: str) -> bool:
        """Whether a new pod reaches the server, once plugins have had time to know of the last change."""
        self._pace.sleep(SETTLE_SECONDS)
        host = f"[{address}]" if ":" in address else address
        call = ["connect", f"{host}:{PORT}", f"--timeout={CALL_SECONDS}s", "--protocol=tcp"]
        self._create_pod(name, call)
        pod = self._awaited(name, lambda pod: dig(pod, "status", "phase") in ("Succeeded", "Failed"))
        return bool(dig(pod, "status", "phase") == "Succeeded")

    def deny(self) -> None:
        """Denies all traffic to the server."""
        spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
        policy = {"metadata": {"name": "deny-all", "labels": {PROBE_LABEL: "true"}}, "spec": spec}
        _create(self._connection, NETWORK_POLICIES, self._namespace, policy)

    def _create_pod(self, name: str, arguments: list[str]) -> None:
        _create(self._connection, PODS, self._namespace, pod_of(name, self._image, arguments))

    def _awaited(self, name: str, holds: Callable[[JsonObject], bool]) -> JsonObject:
        ends = self._pace.clock() + self._pace.seconds
        pod: JsonObject = {}
        while self._pace.clock() < ends:
            pod = json.loads(self._connection.get(PODS.path(self._namespace, name)))
            if holds(pod):
                return pod
            self._pace.sleep(0.5)
        raise ProbeError(f"pod {name} is {_state(pod)} after {self._pace.seconds:.0f} s")


def pod_of(name: str, image: str, arguments: list[str]) -> JsonObject:
    """A pod that Pod Security admits as restricted, that no mesh takes in, and that ends by itself."""
    container = {
        "name": "agnhost",
        "image": image,
        "args": arguments,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "metadata": {
            "name": name,
            "labels": {
                PROBE_LABEL: "true",
                "sidecar.istio.io/inject": "false",
                "istio.io/dataplane-mode": "none",
            },
        },
        "spec": {
            "serviceAccountName": _NAME,
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LONGEST_SECONDS,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }


def _is_ready(pod: JsonObject) -> bool:
    conditions = dig(pod, "status", "conditions") or []
    ready = any(
        condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions
    )
    return ready and bool(dig(pod, "status", "podIP"))


def _state(pod: JsonObject) -> str:
    statuses = dig(pod, "status", "containerStatuses") or []
    waiting = [dig(status, "state", "waiting", "reason") for status in statuses]
    reasons = ", ".join(str(reason) for reason in waiting if reason)
    phase = str(dig(pod, "status", "phase") or "not there")
    return f"{phase} ({reasons})" if reasons else phase


def _create(connection: ApiConnection, resource: Resource, namespace: str, manifest: JsonObject) -> None:
    body = {"apiVersion": resource.api_version, "kind": resource.kind, **manifest}
    connection.send("POST", resource.path(namespace), json.dumps(body).encode())

"""etcd, kube-apiserver and, where pods have to come from Deployments, kube-controller-manager."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.cluster.clients import Api, Kubectl
from tests.cluster.server_process import ServerProcess, free_port
from tests.cluster.users import ADMIN, TENANT, Users

from istio_netpol.certs.self_signed import make_self_signed

STARTS_WITHIN = 120.0
NODE_ADDRESS = "192.0.2.10"
"""What the `kubernetes` EndpointSlice names; the API forbids loopback there."""

RBAC = "rbac.authorization.k8s.io/v1"
SERVICE_RANGE = "10.96.0.0/16"
NAMES = ("localhost", "127.0.0.1", NODE_ADDRESS, "10.96.0.1", "kubernetes.default.svc")


class ControlPlane:
    """One API server over one etcd, on free ports of loopback, with everything they write in `folder`.

    As in a cluster: authorization is RBAC, service accounts get real tokens, and a restart keeps port and
    data. Compaction is left to the tests, so that a resource version is too old when a test wants it to be.
    `options` are further ones of the API server.
    """

    def __init__(self, folder: Path, programs: Mapping[str, Path], options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.users = Users()
        self.port = free_port()
        self._programs = programs
        self._numbers = itertools.count(1)
        files = make_self_signed(folder / "tls", NAMES)
        self.ca = files.ca
        self._service_account_key = folder / "service-accounts.key"
        write_key(self._service_account_key)
        self.users.write_token_file(folder / "tokens.csv")
        self._etcd_port = free_port()
        self.etcd = ServerProcess(folder, self._etcd_command())
        command = self._api_server_command(files.certificate, files.key)
        self.api_server = ServerProcess(folder, [*command, *options])
        self.controller_manager = ServerProcess(folder, self._controller_manager_command())

    @property
    def url(self) -> str:
        """Where the API server listens."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def processes(self) -> tuple[ServerProcess, ...]:
        """In the order in which they need each other."""
        return (self.etcd, self.api_server, self.controller_manager)

    def start(self) -> None:
        """Starts etcd and the API server, at once, and waits until the API is ready."""
        for server in (self.etcd, self.api_server):
            if not server.runs:
                server.start()
        self.wait_until("the API server is ready", self._is_ready)

    def start_controller_manager(self) -> None:
        """Starts kube-controller-manager and waits until its controllers work."""
        self.kubeconfig(ADMIN)
        self.controller_manager.start()
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        api = self.api()
        self.wait_until("controllers work", lambda: api.request("GET", account).status == 200)

    def restart(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends the API server, with SIGKILL as a crash would, and starts it again."""
        self.api_server.stop(how)
        self.start()

    def stop(self) -> None:
        """Ends whatever of it runs. Nothing is flushed: nobody starts from this data again."""
        for server in reversed(self.processes):
            server.stop()

    def api(self, user: str = ADMIN) -> Api:
        """The API as that user."""
        return Api(self.port, self.users.tokens[user], self.ca)

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """A kubeconfig file of that user."""
        path = self.folder / f"{user}.kubeconfig"
        if not path.exists():
            self.users.write_kubeconfig(path, user, self.url, self.ca)
        return path

    def kubectl(self, user: str = ADMIN) -> Kubectl:
        """kubectl as that user."""
        return Kubectl(self._programs["kubectl"], self.kubeconfig(user))

    def namespace(self, labels: Mapping[str, str] | None = None) -> str:
        """Makes a namespace that no test has used, with the service account that pods need, where `tenant`
        may edit; its name."""
        name = f"test-{next(self._numbers)}"
        metadata = {"name": name, "labels": dict(labels or {})}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        base = f"/api/v1/namespaces/{name}"
        self.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self.create(f"{base}/serviceaccounts", account, unless_there=True)
        for binding in _tenant_may_edit():
            self.create(f"/apis/{RBAC}/namespaces/{name}/rolebindings", binding)
        for kind in ("pods", "secrets"):
            self.wait_until("the tenant's rights hold", partial(self._may_read, TENANT, f"{base}/{kind}"))
        return name

    def create(self, path: str, manifest: Mapping[str, Any], *, unless_there: bool = False) -> dict[str, Any]:
        """Creates an object as `admin`, which has to work; the object as stored."""
        answer = self.api().request("POST", path, manifest)
        allowed = {201, 409} if unless_there else {201}
        assert answer.status in allowed, answer.object
        return answer.object

    def compact(self) -> None:
        """Makes etcd forget all but the present: a list or watch from an older resource version that the API
        server does not remember itself, as after a restart, gets 410."""
        key = base64.b64encode(b"\0").decode()
        revision = self._ask_etcd("/v3/kv/range", {"key": key})["header"]["revision"]
        self._ask_etcd("/v3/kv/compaction", {"revision": revision, "physical": True})

    def wait_until(
        self, what: str, holds: Callable[[], bool], seconds: float = STARTS_WITHIN, every: float = 0.05
    ) -> None:
        """Waits for something to hold; fails with the logs when it takes too long or a server has ended."""
        ends = time.monotonic() + seconds
        while not holds():
            for server in self.processes:
                assert not server.died, f"{server.name} ended:\n{server.last_lines()}"
            assert time.monotonic() < ends, (
                f"not within {seconds:g} s: {what}\n{self.api_server.last_lines()}"
            )
            time.sleep(every)

    def _is_ready(self) -> bool:
        try:
            return self.api().request("GET", "/readyz").status == 200
        except OSError:
            return False

    def _may_read(self, user: str, path: str) -> bool:
        return self.api(user).request("GET", path).status == 200

    def _ask_etcd(self, path: str, question: Mapping[str, Any]) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._etcd_port, timeout=30)
        try:
            connection.request("POST", path, json.dumps(question))
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        assert response.status == 200, text
        return json.loads(text)

    def _etcd_command(self) -> list[str | Path]:
        clients, peers = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{free_port()}"
        return [
            self._programs["etcd"],
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            "--log-level=error",
        ]

    def _api_server_command(self, certificate: Path, key: Path) -> list[str | Path]:
        return [
            self._programs["kube-apiserver"],
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--etcd-compaction-interval=0",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--advertise-address={NODE_ADDRESS}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._service_account_key}",
            f"--service-account-signing-key-file={self._service_account_key}",
            "--allow-privileged",
        ]

    def _controller_manager_command(self) -> list[str | Path]:
        return [
            self._programs.get("kube-controller-manager", Path("kube-controller-manager")),
            f"--kubeconfig={self.folder / ADMIN}.kubeconfig",
            f"--service-account-private-key-file={self._service_account_key}",
            f"--root-ca-file={self.ca}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            "--secure-port=0",
        ]


def _tenant_may_edit() -> Iterator[dict[str, Any]]:
    """The parts of the ClusterRole `edit`, which kube-controller-manager would put together."""
    group = RBAC.partition("/")[0]
    for part in ("edit", "view"):
        yield {
            "apiVersion": RBAC,
            "kind": "RoleBinding",
            "metadata": {"name": f"{TENANT}-may-{part}"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": f"system:aggregate-to-{part}"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": TENANT}],
        }


def write_key(path: Path) -> None:
    """A new key, with which service account tokens are signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )

"""The control plane of the mesh, on a node of its own, and what a node needs of Kubernetes: kube-proxy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.cluster.clients import Api, Kubectl
from tests.cluster.control_plane import write_key
from tests.cluster.server_process import ServerProcess
from tests.cluster.users import ADMIN, Users
from tests.mesh import topology
from tests.mesh.host_link import HostLink
from tests.mesh.sandbox import Sandbox
from tests.tools.programs import located
from tests.waiting import wait_until

from istio_netpol.certs.self_signed import make_self_signed

ETCD = "http://127.0.0.1:2379"
ETCD_PEERS = "http://127.0.0.1:2380"
NAMES = (
    topology.CONTROL_PLANE,
    topology.KUBERNETES_SERVICE,
    "127.0.0.1",
    "localhost",
    "kubernetes.default.svc",
)
NOT_CONTROLLED = ("node-lifecycle-controller", "node-ipam-controller", "taint-eviction-controller")
"""Controllers that would take the node for lost: its agent renews no Lease."""

NODE: Mapping[str, Any] = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": topology.WORKER_NODE,
        "labels": {
            "kubernetes.io/hostname": topology.WORKER_NODE,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        },
    },
    "spec": {"podCIDR": topology.POD_RANGE, "podCIDRs": [topology.POD_RANGE]},
    "status": {
        "addresses": [
            {"type": "InternalIP", "address": topology.WORKER},
            {"type": "Hostname", "address": topology.WORKER_NODE},
        ],
        "capacity": {"cpu": "64", "memory": "256Gi", "pods": "500"},
        "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "500"},
        "nodeInfo": {"kubeletVersion": "v1.36.3", "operatingSystem": "linux", "architecture": "amd64"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
    },
}
"""Requests of CPU and memory are promises that nobody keeps here: all pods fit. By the version istiod knows
that sidecars can be init containers."""


class ControlPlane:
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler on one node, kube-proxy on another."""

    def __init__(self, sandbox: Sandbox, link: HostLink) -> None:
        self._sandbox = sandbox
        self.link = link
        self._users = Users()
        self._users.write_token_file(sandbox.folder / "tokens.csv")
        self._certificate = make_self_signed(sandbox.folder / "tls", (*NAMES, link.address))
        self.ca = self._certificate.ca
        self._service_account_key = sandbox.folder / "service-accounts.key"
        write_key(self._service_account_key)
        self.kubeconfig = self._kubeconfig("inside", topology.CONTROL_PLANE)
        self.kubeconfig_of_host = self._kubeconfig("host", link.address)
        self.etcd = self._server("etcd", *self._etcd_options())
        self.api_server = self._server("kube-apiserver", *self._api_server_options())
        self.controller_manager = self._server("kube-controller-manager", *self._manager_options())
        self.scheduler = self._server("kube-scheduler", *self._client_options())
        self.proxy = self._server("kube-proxy", *self._proxy_options(), network="")

    @property
    def servers(self) -> tuple[ServerProcess, ...]:
        """In the order in which they need each other."""
        return (self.etcd, self.api_server, self.controller_manager, self.scheduler, self.proxy)

    @property
    def api(self) -> Api:
        """The API, as somebody who may do everything."""
        return Api(topology.API_SERVER_PORT, self._users.tokens[ADMIN], self.ca, self.link.address)

    @property
    def kubectl(self) -> Kubectl:
        """kubectl on the host, as somebody who may do everything."""
        return Kubectl(_program("kubectl"), self.kubeconfig_of_host)

    def start(self) -> None:
        """Starts everything and waits until pods can be made of Deployments."""
        self.etcd.start()
        self.api_server.start()
        self._wait_until("the API server is ready", self._is_ready)
        for server in (self.controller_manager, self.scheduler, self.proxy):
            server.start()
        made = self.api.request("POST", "/api/v1/nodes", NODE)
        assert made.status == 201, made.object
        self._wait_until("service accounts are made", lambda: self._is_there("serviceaccounts/default"))
        self._wait_until("the cluster's CA is known", lambda: self._is_there("configmaps/kube-root-ca.crt"))

    def restart(self, server: ServerProcess) -> None:
        """Ends one of the servers as a crash would, starts it again, and waits until the API is ready."""
        server.stop()
        server.start()
        self._wait_until("the API server is ready", self._is_ready)

    def _wait_until(self, what: str, holds: Callable[[], bool]) -> None:
        wait_until(what, holds, 60.0, self.servers, self.api_server.last_lines)

    def _is_ready(self) -> bool:
        try:
            return self.api.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def _is_there(self, path: str) -> bool:
        return self.api.request("GET", f"/api/v1/namespaces/default/{path}").status == 200

    def _kubeconfig(self, name: str, address: str) -> Path:
        path = self._sandbox.folder / f"{name}.kubeconfig"
        url = f"https://{address}:{topology.API_SERVER_PORT}"
        self._users.write_kubeconfig(path, ADMIN, url, self.ca)
        return path

    def _server(
        self, name: str, *options: str, network: str = topology.CONTROL_PLANE_NETWORK
    ) -> ServerProcess:
        return self._sandbox.process(name, _program(name), *options, network=network)

    def _etcd_options(self) -> list[str]:
        return [
            f"--data-dir={self._sandbox.folder / 'etcd'}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            f"--listen-peer-urls={ETCD_PEERS}",
            f"--initial-advertise-peer-urls={ETCD_PEERS}",
            f"--initial-cluster=default={ETCD_PEERS}",
            "--unsafe-no-fsync",
            "--log-level=error",
        ]

    def _api_server_options(self) -> list[str]:
        return [
            f"--etcd-servers={ETCD}",
            "--bind-address=0.0.0.0",
            f"--secure-port={topology.API_SERVER_PORT}",
            f"--advertise-address={topology.CONTROL_PLANE}",
            f"--service-cluster-ip-range={topology.SERVICE_RANGE}",
            f"--tls-cert-file={self._certificate.certificate}",
            f"--tls-private-key-file={self._certificate.key}",
            f"--token-auth-file={self._sandbox.folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._service_account_key}",
            f"--service-account-signing-key-file={self._service_account_key}",
            "--allow-privileged",
            "--enable-aggregator-routing",  # webhooks of Services are called at the pod's address
            "--disable-admission-plugins=TaintNodesByCondition",
        ]

    def _client_options(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig}",
            "--leader-elect=false",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]

    def _manager_options(self) -> list[str]:
        return [
            *self._client_options(),
            f"--service-account-private-key-file={self._service_account_key}",
            f"--root-ca-file={self.ca}",
            f"--controllers={','.join(['*', *(f'-{name}' for name in NOT_CONTROLLED)])}",
            "--secure-port=0",
        ]

    def _proxy_options(self) -> list[str]:
        return [
            f"--kubeconfig={self.kubeconfig}",
            f"--hostname-override={topology.WORKER_NODE}",
            "--proxy-mode=iptables",
            f"--cluster-cidr={topology.POD_RANGE}",
            "--iptables-min-sync-period=100ms",
            "--conntrack-max-per-core=0",  # the host's limits, which are not the mesh's to change
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
            "--healthz-bind-address=127.0.0.1:10256",
            "--metrics-bind-address=127.0.0.1:10249",
        ]


def _program(name: str) -> Path:
    path = located(name)
    assert path is not None, f"{name} is not built"
    return path

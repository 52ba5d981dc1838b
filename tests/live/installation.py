"""The chart, installed as in a cluster: what helm renders is applied unchanged, and what its Deployments
would run runs here as processes, with their arguments, their settings and their ServiceAccounts' rights."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.certs.mounted_secret import MountedSecret
from tests.chart.rendering import NAMESPACE, RELEASE, manifests, of_kind
from tests.cluster.clients import Api
from tests.cluster.control_plane import ControlPlane
from tests.controller.process import ControllerProcess
from tests.live.service_network import ServiceNetwork
from tests.serving.process import READY, WebhookProcess

from istio_netpol.certs.review_paths import SECRET_PATH

PLACES = ("--source", "--listen", "--metrics-listen", "--cert", "--key", "--config", "--namespace")
"""Options of the rendered Deployments that the processes get by other means, since they run elsewhere."""

CONFIGURATIONS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")
REGISTRATION = "/apis/admissionregistration.k8s.io/v1"


def registered_clients(api: Api) -> dict[str, dict[str, Any]]:
    """How the API server calls each webhook of the chart, by its name."""
    found = [api.request("GET", f"{REGISTRATION}/{kind}/{RELEASE}").object for kind in CONFIGURATIONS]
    return {
        webhook["name"]: webhook["clientConfig"]
        for configuration in found
        for webhook in configuration.get("webhooks", ())
    }


def is_trusted(clients: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the controller has written every caBundle and every secret path."""
    paths = [SECRET_PATH.fullmatch(client["service"].get("path", "")) for client in clients.values()]
    return len(paths) == 3 and all(paths) and all(client.get("caBundle") for client in clients.values())


def account(component: str) -> str:
    """The API server's name of a component's ServiceAccount."""
    return f"system:serviceaccount:{NAMESPACE}:{RELEASE}-{component}"


class Installation:
    """One release of the chart; `webhook` and `controller` start further processes like those that run."""

    def __init__(
        self, plane: ControlPlane, network: ServiceNetwork, folder: Path, values: Mapping[str, Any]
    ) -> None:
        self.plane = plane
        self.network = network
        self.manifests = manifests(values)
        self._mount = MountedSecret(folder / "certs")
        self._settings = folder / "config.yaml"
        (config,) = of_kind(self.manifests, "ConfigMap")
        self._settings.write_text(config["data"]["config.yaml"])

    def apply(self) -> None:
        """The namespace, and everything that helm renders, as `helm template | kubectl apply` does it."""
        kubectl = self.plane.kubectl()
        created = kubectl("create", "namespace", NAMESPACE)
        assert created.code == 0, created.stderr
        applied = kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(self.manifests))
        assert applied.code == 0, applied.stderr
        for component in ("webhook", "controller"):
            token = kubectl("create", "token", f"{RELEASE}-{component}", "--namespace", NAMESPACE)
            assert token.code == 0, token.stderr
            self.plane.users.tokens[f"{RELEASE}-{component}"] = token.stdout.strip()

    def controller(self) -> ControllerProcess:
        """A controller, as the chart's Deployment runs it."""
        kubeconfig = self.plane.kubeconfig(f"{RELEASE}-controller")
        return ControllerProcess(kubeconfig, NAMESPACE, self._settings, *self._arguments("controller"))

    def webhook(self, *, knows_secret_paths: bool = True) -> WebhookProcess:
        """A webhook, as the chart's Deployment runs it, or as that of a version before secret paths did:
        started once its Secret is there."""
        self.plane.wait_until("the certificate is made", self._mounts)
        arguments = self._arguments("webhook")
        if not knows_secret_paths:
            arguments = [
                argument for argument in arguments if not argument.startswith("--webhook-configuration=")
            ]
        webhook = WebhookProcess(
            "cluster",
            f"--config={self._settings}",
            *arguments,
            certificate=self._mount.options,
            ca=self._mount.folder / "ca.crt",
            environment={"KUBECONFIG": str(self.plane.kubeconfig(f"{RELEASE}-webhook"))},
        )
        webhook.path_of = self._path_of
        webhook.context.check_hostname = False  # it serves by the Service's name; the API server checks that
        return webhook

    def behind_the_service(self, *webhooks: WebhookProcess) -> None:
        """These, and no others, are what the API server reaches."""
        path = f"/api/v1/namespaces/{NAMESPACE}/services/{RELEASE}-webhook"
        service = self.plane.api().request("GET", path).object["spec"]
        address = f"{service['clusterIP']}:{service['ports'][0]['port']}"
        self.network.route(address, *(webhook.url.port or 0 for webhook in webhooks))
        self.network.cut()

    def wait_for_trust(self) -> None:
        """Until the controller has written every caBundle and every secret path."""
        self.plane.wait_until("every caBundle and path is written", lambda: is_trusted(self.clients()))

    def clients(self) -> dict[str, dict[str, Any]]:
        """How the API server calls each webhook, by its name."""
        return registered_clients(self.plane.api())

    def _path_of(self, door: str) -> str:
        """The path that is registered for reviews that are to validate, or to mutate."""
        paths = (client["service"]["path"] for client in self.clients().values())
        return next(path for path in paths if path.startswith(f"/{door}"))

    def _arguments(self, component: str) -> list[str]:
        deployments = {
            deployment["metadata"]["name"]: deployment for deployment in of_kind(self.manifests, "Deployment")
        }
        (container,) = deployments[f"{RELEASE}-{component}"]["spec"]["template"]["spec"]["containers"]
        return [argument for argument in container["args"][1:] if argument.partition("=")[0] not in PLACES]

    def _mounts(self) -> bool:
        path = f"/api/v1/namespaces/{NAMESPACE}/secrets/{RELEASE}-certificate"
        answer = self.plane.api().request("GET", path)
        if answer.status != 200:
            return False
        self._mount.update({name: base64.b64decode(value) for name, value in answer.object["data"].items()})
        return True


@contextlib.contextmanager
def installed(
    plane: ControlPlane, network: ServiceNetwork, folder: Path, values: Mapping[str, Any]
) -> Iterator[tuple[Installation, WebhookProcess, ControllerProcess]]:
    """The chart with one webhook and one controller at work, until the block ends."""
    installation = Installation(plane, network, folder, values)
    installation.apply()
    with contextlib.ExitStack() as processes:
        controller = processes.enter_context(installation.controller())
        controller.wait_for("leading")
        webhook = processes.enter_context(installation.webhook())
        webhook.wait_for(READY)
        installation.behind_the_service(webhook)
        installation.wait_for_trust()
        yield installation, webhook, controller

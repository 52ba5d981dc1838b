"""Keeps the secret paths under which the API server calls one webhook."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import msgspec
import structlog
from msgspec import Struct

from istio_netpol.certs.reconciler import SUBDOMAIN
from istio_netpol.certs.review_paths import PathPlan, PathTimes, RegisteredWebhook, plan_paths
from istio_netpol.certs.webhook_configurations import (
    KINDS,
    MUTATING,
    Configuration,
    WebhookClient,
    read_configuration,
    write_paths,
)
from istio_netpol.errors import ApiError, SettingsError
from istio_netpol.kube.backoff import Backoff
from istio_netpol.kube.connection import ApiConnection
from istio_netpol.kube.resources import PODS, SERVICES, Resource

LOOK_SECONDS = 2.0
"""How often everything is looked at. A path that somebody made plain again stays so for at most so long, and
a pod that takes only plain paths gets them before it is ready."""

SHORTEST_SECONDS = 0.2
KNOWING_OPTION = "--webhook-configuration"
"""The option of `serve` with which a pod learns the secret paths."""

SECRET_BYTES = 32
Decoded = TypeVar("Decoded")
ENDED = frozenset({"Succeeded", "Failed"})


class _Container(msgspec.Struct, frozen=True):
    args: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


class _PodSpec(msgspec.Struct, frozen=True):
    containers: tuple[_Container, ...] = ()


class _PodStatus(msgspec.Struct, frozen=True):
    phase: str = ""


class _Pod(msgspec.Struct, frozen=True):
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()


class _ServiceSpec(msgspec.Struct, frozen=True):
    selector: dict[str, str] | None = None


class _SelectingService(msgspec.Struct, frozen=True):
    spec: _ServiceSpec = _ServiceSpec()


class _Services(msgspec.Struct, frozen=True):
    items: tuple[_SelectingService, ...] = ()


class _PodList(msgspec.Struct, frozen=True):
    items: tuple[_Pod, ...] = ()


class PathLook(Struct, frozen=True):
    """The result of a look: what was written, which configurations are not there, whether the next look is to
    register what this one announced, and when it is due."""

    written: tuple[str, ...]
    absent: tuple[str, ...]
    is_settling: bool
    again_in: float


class PathReconciler:
    """Carries out what `plan_paths` plans, one look at a time. No decision depends on an earlier look, and
    each write is for the version that was read, so two that run at once do no harm."""

    name = "review-paths"

    def __init__(
        self,
        connection: ApiConnection,
        configuration: str,
        times: PathTimes | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Raises SettingsError for a name that no configuration can have."""
        if not SUBDOMAIN.fullmatch(configuration):
            raise SettingsError(
                f"{configuration!r} is not a name of a webhook configuration: use lower case letters, digits "
                "and '-'"
            )
        self._connection = connection
        self._name = configuration
        self._times = times or PathTimes()
        self._clock = clock
        self._backoff = Backoff(time.monotonic)
        self._trouble = ""
        self._log = structlog.get_logger("review-paths")

    def reconcile(self) -> float:
        """Looks once; returns the seconds until the next look. A failure is tried again, and is logged once
        for as long as it stays the same."""
        try:
            look = self.look(lambda sentence: self._log.info("review paths written", what=sentence))
        except ApiError as error:
            if str(error) != self._trouble:
                self._log.warning("the review paths could not be reconciled; trying again", reason=str(error))
            self._trouble = str(error)
            return self._backoff.next_wait()
        self._trouble = ""
        self._backoff.succeeded()
        return look.again_in

    def look(self, tell: Callable[[str], None]) -> PathLook:
        """Reads everything, writes what has to be different, and tells each thing that was written, never a
        path. Raises ApiError, after which nothing further was written."""
        now, written, absent, waits, is_settling = self._clock(), [], [], [LOOK_SECONDS], False
        for kind in KINDS:
            configuration = read_configuration(self._connection, kind, self._name)
            if configuration.clients is None:
                absent.append(str(configuration))
                continue
            plan = self._plan(configuration, now)
            if plan.reason:
                write_paths(self._connection, configuration, plan.paths, plan.note)
                written.append(f"{configuration}: {plan.reason}")
                tell(written[-1])
            is_settling |= bool(plan.note.following)
            if plan.again_at:
                waits.append((plan.again_at - now).total_seconds())
        return PathLook(tuple(written), tuple(absent), is_settling, max(SHORTEST_SECONDS, min(waits)))

    def _plan(self, configuration: Configuration, now: datetime) -> PathPlan:
        """The next step for the webhooks that call a Service. A webhook with a URL keeps its path, since
        nobody here can tell what is behind it."""
        clients = [client for client in configuration.clients or () if client.service]
        if not clients:
            return PathPlan({}, configuration.note)
        webhooks = [RegisteredWebhook(client.webhook, client.path, bool(client.bundle)) for client in clients]
        return plan_paths(
            webhooks,
            configuration.note,
            now,
            mutating=configuration.resource == MUTATING,
            secret=self._all_take_secrets(clients),
            draw=partial(secrets.token_hex, SECRET_BYTES),
            times=self._times,
        )

    def _all_take_secrets(self, clients: Sequence[WebhookClient]) -> bool:
        services = {client.service for client in clients if client.service}
        return all(_takes_secrets(pod) for service in services for pod in self._pods(*service))

    def _pods(self, namespace: str, service: str) -> tuple[_Pod, ...]:
        """The pods behind a Service, including those that are about to start or to end."""
        named = [("fieldSelector", f"metadata.name={service}")]
        found = self._read(SERVICES, namespace, named, _Services)
        pods: list[_Pod] = []
        for stored in found.items:
            if stored.spec.selector:
                labels = ",".join(f"{key}={value}" for key, value in sorted(stored.spec.selector.items()))
                pods += self._read(PODS, namespace, [("labelSelector", labels)], _PodList).items
        return tuple(pod for pod in pods if pod.status.phase not in ENDED)

    def _read(
        self, resource: Resource, namespace: str, query: list[tuple[str, str]], kind: type[Decoded]
    ) -> Decoded:
        try:
            return msgspec.json.decode(self._connection.get(resource.path(namespace), query), type=kind)
        except msgspec.DecodeError as error:
            raise ApiError(0, f"{resource.plural} of {namespace} can't be read: {error}") from None


def _takes_secrets(pod: _Pod) -> bool:
    """Whether a pod was told the name of its configuration."""
    return any(
        argument.partition("=")[0] == KNOWING_OPTION
        for container in pod.spec.containers
        for argument in (*container.command, *container.args)
    )

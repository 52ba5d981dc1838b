"""Looks at everything that `istio-netpol doctor` examines, question by question."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime

from istio_netpol.doctor import (
    admission,
    api_server,
    cluster_dns,
    dialled,
    health_checks,
    mesh,
    network_plugin,
    platform,
    policies,
    versions,
    webhooks,
)
from istio_netpol.doctor.survey import NotSeenError, Survey, not_seen
from istio_netpol.doctor.webhooks import Handshake
from istio_netpol.model.diagnosis import Diagnosis, Health
from istio_netpol.model.settings import Settings

Question = tuple[str, str, Callable[[], Iterable[Diagnosis]]]
"""One question: its topic, what is looked at, and the function that finds it out."""

NOT_PROBED = Diagnosis(
    network_plugin.TOPIC,
    "enforcement",
    "not probed",
    Health.NOTE,
    "--probe finds out with pods in a namespace of its own, which it deletes again",
)


TOPICS = (
    versions.TOPIC,
    platform.TOPIC,
    api_server.TOPIC,
    cluster_dns.TOPIC,
    network_plugin.TOPIC,
    mesh.ISTIOD_TOPIC,
    mesh.INJECTION_TOPIC,
    webhooks.TOPIC,
    health_checks.TOPIC,
    admission.TOPIC,
    policies.TOPIC,
)


def examine(
    survey: Survey,
    settings: Settings,
    now: datetime,
    handshake: Handshake,
    topics: Collection[str] = TOPICS,
    *,
    tries_deny: bool = False,
) -> Iterator[Diagnosis]:
    """Every finding on these topics, in the order in which people read them. `tries_deny` asks by a dry run
    whether the cluster takes a default-deny. Raises ApiError where the cluster does not answer at all."""
    version = survey.version()
    questions: tuple[Question, ...] = (
        (versions.TOPIC, "Kubernetes", lambda: versions.kubernetes_version(version)),
        (versions.TOPIC, "Istio", lambda: versions.istio_versions(survey)),
        (versions.TOPIC, "Kyma", lambda: versions.kyma_versions(survey)),
        (platform.TOPIC, "environment", lambda: platform.platform(survey)),
        (platform.TOPIC, "what the provider changes", lambda: platform.provider_checks(survey)),
        (api_server.TOPIC, "endpoints", lambda: api_server.api_server(survey, settings)),
        (api_server.TOPIC, "what pods dial", lambda: dialled.dialled_hosts(survey, settings)),
        (api_server.TOPIC, "callers of webhooks", lambda: dialled.webhook_callers(survey, settings)),
        (cluster_dns.TOPIC, "Services", lambda: cluster_dns.cluster_dns(survey, settings)),
        (cluster_dns.TOPIC, "DaemonSets", lambda: cluster_dns.node_cache(survey, settings)),
        (cluster_dns.TOPIC, "addresses", lambda: cluster_dns.dns_addresses(survey, settings)),
        (network_plugin.TOPIC, "DaemonSets", lambda: network_plugin.network_plugin(survey)),
        (network_plugin.TOPIC, "settings", lambda: network_plugin.plugin_settings(survey, settings)),
        (mesh.ISTIOD_TOPIC, "Deployments", lambda: mesh.istiod(survey, settings)),
        (mesh.INJECTION_TOPIC, "Namespaces", lambda: mesh.injection(survey, settings)),
        (webhooks.TOPIC, "configurations", lambda: webhooks.webhooks(survey, settings, now, handshake)),
        (health_checks.TOPIC, "Services", lambda: health_checks.health_checks(survey)),
        (admission.TOPIC, "policies and webhooks", lambda: admission.admission(survey)),
        *([(admission.TOPIC, "default-deny", lambda: admission.tried_deny(survey))] if tries_deny else ()),
        (policies.TOPIC, "NetworkPolicies", lambda: policies.policies(survey)),
        (policies.TOPIC, "policies of administrators", lambda: policies.tiers(survey)),
        (policies.TOPIC, "policies of plugins", lambda: policies.not_evaluated(survey)),
    )
    for topic, looked_at, ask in questions:
        if topic not in topics:
            continue
        yield from _answers(topic, looked_at, ask)


def _answers(topic: str, looked_at: str, ask: Callable[[], Iterable[Diagnosis]]) -> Iterator[Diagnosis]:
    """The findings up to the first thing that can't be seen, and then a finding for that."""
    try:
        yield from ask()
    except NotSeenError as error:
        yield not_seen(topic, looked_at, error)

"""What helm makes of the chart: golden files of value sets, and what holds for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click import Command
from tests.chart.rendering import (
    CHART,
    NAMESPACE,
    Manifest,
    manifests,
    of_kind,
    plural,
    render,
    run_helm,
    try_to_render,
)
from tests.cluster.fixtures import require
from tests.conftest import Golden

from istio_netpol.admission.modes import effective_mode
from istio_netpol.cli.controller import controller
from istio_netpol.cli.doctor import doctor
from istio_netpol.cli.serve import serve
from istio_netpol.config.settings_file import load_settings
from istio_netpol.doctor.webhooks import NOT_CONTROLLED
from istio_netpol.manifests.decode import DECODERS
from istio_netpol.manifests.decode_workloads import KEPT_ANNOTATIONS
from istio_netpol.model.own_names import MODE_LABEL
from istio_netpol.model.settings import AdmissionSettings, Mode

HERE = Path(__file__).parent
SETS = sorted((HERE / "sets").glob("*.yaml"))


@pytest.fixture(autouse=True)
def helm() -> None:
    require("helm")


def values(path: Path) -> dict[str, Any]:
    """A value set, as helm reads it."""
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


@pytest.fixture(params=SETS, ids=lambda path: path.stem)
def rendered(request: pytest.FixtureRequest) -> list[Manifest]:
    """The manifests of each value set."""
    return manifests(values(request.param))


def pod_specs(objects: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """Each Deployment's and Job's pods and their only container."""
    for owner in [*of_kind(objects, "Deployment"), *of_kind(objects, "Job")]:
        spec = owner["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        yield spec, container


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_a_value_set_renders_as_recorded(path: Path, golden: Golden) -> None:
    """A change of the chart shows what it changes for those who run it."""
    text = render(values(path))
    golden(HERE / "golden" / path.name, text)
    assert render(values(path)) == text


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_the_chart_passes_helm_lint(path: Path) -> None:
    """`helm lint --strict` finds nothing to complain about."""
    done = run_helm("lint", "--strict", "--kube-version", "1.36.0", "--values", path, CHART)
    assert done.returncode == 0, done.stdout + done.stderr


def test_helm_template_argo_cd_and_flux_see_the_same() -> None:
    """No hook, no look at the cluster and no random value: what is in git is what runs, each time."""
    text = "".join(path.read_text() for path in sorted((CHART / "templates").iterdir()))
    for word in ("helm.sh/hook", "lookup", "randAlpha", "genCA", "genSigned", "uuidv4", "now ", ".IsInstall"):
        assert word not in text, word


def test_settings_are_what_the_program_reads(rendered: list[Manifest]) -> None:
    """The settings file of the ConfigMap is one that the program accepts, with its own namespace in it."""
    (config,) = (
        config_map for config_map in of_kind(rendered, "ConfigMap") if "config.yaml" in config_map["data"]
    )
    settings = load_settings(config["data"]["config.yaml"], "config.yaml")
    assert settings.admission.own_namespace == NAMESPACE


def test_settings_arrive() -> None:
    """What `config` says is what the program is told."""
    (config,) = of_kind(manifests(values(HERE / "sets" / "locked-down.yaml")), "ConfigMap")
    settings = load_settings(config["data"]["config.yaml"], "config.yaml")
    assert settings.admission.floor == "reject"
    assert settings.admission.exempt_users == ("o'brien",)
    assert settings.api_server.addresses == ("10.250.0.4/32",)


def test_other_settings_make_other_pods() -> None:
    """Settings are read once, so a change of them rolls the pods."""
    digests = {
        template["metadata"]["annotations"]["istio-netpol.io/config-digest"]
        for given in ({}, {"config": {"checkScrape": True}})
        for template in (
            deployment["spec"]["template"] for deployment in of_kind(manifests(given), "Deployment")
        )
    }
    assert len(digests) == 2


def options_of(command: Command) -> set[str]:
    """The long options that a command knows."""
    return {option for parameter in command.params for option in parameter.opts}


CERTIFICATE_OPTIONS = {"--certificate-secret", "--webhook-service"}


def test_pods_are_started_with_options_that_they_have(rendered: list[Manifest]) -> None:
    """No pod fails to start for an option that the program does not know."""
    started = {}
    for _, container in pod_specs(rendered):
        command, *arguments = container["args"]
        started[command] = {argument.partition("=")[0] for argument in arguments}
    assert started.keys() - {"doctor"} == {"serve", "controller"}
    assert started.get("doctor", set()) <= options_of(doctor)
    assert started["serve"] <= options_of(serve)
    assert started["controller"] <= options_of(controller)


def webhooks(rendered: list[Manifest]) -> list[Manifest]:
    """All that are registered."""
    kinds = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
    return [
        webhook
        for kind in kinds
        for configuration in of_kind(rendered, kind)
        for webhook in configuration["webhooks"]
    ]


def test_certificates_are_kept_by_one_of_two() -> None:
    """The controller is told of the certificate's names, unless cert-manager keeps it."""
    for provider, expected in {"self-managed": CERTIFICATE_OPTIONS, "cert-manager": set()}.items():
        given = manifests({"certificates": {"provider": provider}})
        options = {
            argument.partition("=")[0] for _, container in pod_specs(given) for argument in container["args"]
        }
        assert options & CERTIFICATE_OPTIONS == expected
        assert "--webhook-configuration" in options


def test_paths_are_left_to_the_controller() -> None:
    """What nothing sets, no tool calls drift: the path and the caBundle of a Service's webhook. Plain paths
    are registered where the first step of an upgrade asks for them."""
    for plain, expected in ((False, {None}), (True, {"/validate", "/mutate"})):
        found = webhooks(manifests({"admission": {"registerPlainPaths": plain}}))
        assert {webhook["clientConfig"]["service"].get("path") for webhook in found} == expected
        assert not any("caBundle" in webhook["clientConfig"] for webhook in found)


def test_a_path_that_lets_policies_be_written_is_shown_to_nobody() -> None:
    """The API server tells users the URL of a call that failed, where a webhook fails closed."""
    refused = try_to_render({"admission": {"failurePolicyMutating": "Fail"}})
    assert "would show users the secret path" in refused.stderr
    by_certificate = {"failurePolicyMutating": "Fail", "clientCertificates": {"configMap": "ca"}}
    assert webhooks(manifests({"admission": by_certificate}))


def test_pods_run_without_rights_on_their_node(rendered: list[Manifest]) -> None:
    """Every pod meets the restricted Pod Security Standard, on a read-only root."""
    for spec, container in pod_specs(rendered):
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert {"secret", "configMap"} >= {
            kind for volume in spec["volumes"] for kind in volume.keys() - {"name"}
        }


IDS = {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532}


@pytest.mark.parametrize("unset", [(), ("runAsUser",), ("fsGroup", "runAsGroup"), tuple(IDS)])
def test_the_platform_may_assign_ids(unset: tuple[str, ...]) -> None:
    """OpenShift's restricted-v2 refuses pods that bring ids of their own: what is null is not there."""
    given = {"podSecurityContext": dict.fromkeys(unset), "doctor": {"run": "1"}}
    expected = {field: number for field, number in IDS.items() if field not in unset}
    pods = [spec["securityContext"] for spec, _ in pod_specs(manifests(given))]
    assert pods == 3 * [{"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}, **expected}]


def test_ids_are_written_as_whole_numbers() -> None:
    """A number of ten digits, as OpenShift has them, is not written with an exponent."""
    assert "runAsUser: 1000660000\n" in render({"podSecurityContext": {"runAsUser": 1000660000}})


def test_webhook_configurations_carry_what_a_platform_asks_for() -> None:
    """AKS leaves alone the selectors of those that say so."""
    asked = {"admissions.enforcer/disabled": "true"}
    given = manifests({"admission": {"annotations": asked}})
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        (configuration,) = of_kind(given, kind)
        assert asked.items() <= configuration["metadata"]["annotations"].items()


def test_each_run_of_doctor_is_a_job_of_its_own() -> None:
    """A Job can't be changed; with the longest names there is still room for what tells runs apart."""
    assert of_kind(manifests(), "Job") == []
    runs = ("0a1b2c3d", "12345678", "1e100000")
    (names,) = {
        tuple(
            of_kind(manifests({"fullnameOverride": "n" * 50, "doctor": {"run": run}}), "Job")[0]["metadata"][
                "name"
            ]
            for run in runs
        )
    }
    assert len(set(names)) == len(runs)
    assert all(len(name) <= 63 and name.endswith(run) for name, run in zip(names, runs, strict=True))


def test_selectors_meet_their_own_pods_only(rendered: list[Manifest]) -> None:
    """The Service leads to the webhook's pods and to nothing else of ours."""
    pods = {
        deployment["metadata"]["name"].rpartition("-")[2]: deployment["spec"]["template"]["metadata"][
            "labels"
        ]
        for deployment in of_kind(rendered, "Deployment")
    }
    services = {
        service["metadata"]["name"].rpartition("-")[2]: service["spec"]["selector"].items()
        for service in of_kind(rendered, "Service")
    }
    assert [name for name, labels in pods.items() if services["webhook"] <= labels.items()] == ["webhook"]
    assert all(services["metrics"] <= labels.items() for labels in pods.values())


def test_a_webhook_of_one_replica_can_be_evicted() -> None:
    """A budget that can never be met would hold up every node's maintenance."""
    assert of_kind(manifests({"webhook": {"replicas": 1}}), "PodDisruptionBudget") == []
    assert len(of_kind(manifests(), "PodDisruptionBudget")) == 1


def test_webhooks_never_wait_long_nor_for_dry_runs(rendered: list[Manifest]) -> None:
    """An API request waits at most five seconds for us, and a dry run writes nothing."""
    for webhook in webhooks(rendered):
        assert webhook["timeoutSeconds"] <= 5
        assert webhook["sideEffects"] == "NoneOnDryRun"


def test_only_opted_in_namespaces_are_closed_without_a_webhook() -> None:
    """As shipped, a webhook that is down stops nothing, but where `reject` or `augment` was asked for."""
    closed = {webhook["name"]: webhook["failurePolicy"] for webhook in webhooks(manifests())}
    assert closed == {
        "opted-in.istio-netpol.io": "Fail",
        "others.istio-netpol.io": "Ignore",
        "augment.istio-netpol.io": "Ignore",
    }


@pytest.mark.parametrize(
    ("default", "floor"),
    [("augment", None), ("augment", "reject"), ("warn", "augment"), ("reject", "augment"), ("off", "warn")],
)
def test_the_mutating_webhook_is_asked_exactly_where_policies_are_written(
    default: str, floor: str | None
) -> None:
    """Whether a label, the default or the floor says so."""
    settings = {"defaultMode": default} | ({"floor": floor} if floor else {})
    rendered = of_kind(manifests({"config": {"admission": settings}}), "MutatingWebhookConfiguration")
    (requirement,) = [
        requirement
        for requirement in rendered[0]["webhooks"][0]["namespaceSelector"]["matchExpressions"]
        if requirement["key"] == MODE_LABEL
    ]
    parsed = AdmissionSettings(default_mode=Mode(default), floor=Mode(floor) if floor else None)
    for label in (None, "typo", *Mode):
        labels = {MODE_LABEL: str(label)} if label else {}
        is_asked = (labels.get(MODE_LABEL) in requirement["values"]) == (requirement["operator"] == "In")
        is_written = effective_mode("shop", labels, parsed).mode is Mode.AUGMENT
        assert is_asked == is_written, (label, requirement)


@pytest.mark.parametrize("denied", [True, False])
def test_what_controllers_make_is_sent_where_it_may_be_refused(denied: bool) -> None:
    """By the condition of which doctor tells when it contradicts the settings."""
    objects = manifests({"config": {"admission": {"denyControlledPods": denied}}})
    for webhook in webhooks(objects):
        conditions = {condition["name"] for condition in webhook["matchConditions"]}
        is_validating = not webhook["name"].startswith("augment.")
        assert (NOT_CONTROLLED in conditions) == (is_validating and not denied)


NOT_ADMITTED = {
    ("", "Node"): "nodes come and go without us",
    ("", "Endpoints"): "follows from Services and pods",
    ("discovery.k8s.io", "EndpointSlice"): "follows from Services and pods",
    ("", "ConfigMap"): "istiod's configuration is its administrator's",
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): "cannot be reviewed by a webhook",
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): "cannot be reviewed by a webhook",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): "administrators', and a cluster is mended by them",
    ("apiregistration.k8s.io", "APIService"): "administrators', and a cluster is mended by them",
    ("gateway.networking.k8s.io", "GatewayClass"): "whose Gateways are is its administrator's to say",
    ("networking.k8s.io", "IngressClass"): "whose Ingresses are is its administrator's to say",
    ("security.istio.io", "PeerAuthentication"): "which certificate a caller shows, no policy decides",
    ("policy.networking.k8s.io", "AdminNetworkPolicy"): "the administrators' word, which nobody overrules",
    ("policy.networking.k8s.io", "BaselineAdminNetworkPolicy"): "the administrators' word too",
    ("policy.networking.k8s.io", "ClusterNetworkPolicy"): "the administrators' word too",
    **{
        key: "what network plugins' own policies say is not judged"
        for key in DECODERS
        if key[0] == "cilium.io" or key[0].endswith("projectcalico.org")
    },
}
"""Kinds that rules read and no webhook reviews, with the reason."""


def test_what_rules_read_is_reviewed_before_it_is_stored() -> None:
    """A kind with a new decoder is admitted by every webhook, or the reason why not is written down."""
    expected = {(group, plural(kind)) for group, kind in DECODERS.keys() - NOT_ADMITTED.keys()}
    for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"):
        (configuration,) = of_kind(manifests(), kind)
        for webhook in configuration["webhooks"]:
            rules = webhook["rules"]
            admitted = [(rule["apiGroups"][0], resource) for rule in rules for resource in rule["resources"]]
            assert sorted(admitted) == sorted(expected)
            assert all(
                ("DELETE" in rule["operations"]) == (rule["resources"] == ["networkpolicies"])
                for rule in rules
            )


def test_annotations_that_rules_read_are_those_that_conditions_compare() -> None:
    """An annotation of a domain that rules read is never edited unseen."""
    pattern = "|".join(domain.replace(".", "[.]") for domain in KEPT_ANNOTATIONS)
    assert f"key.matches('^([^/]*[.])?({pattern})/')" in render()

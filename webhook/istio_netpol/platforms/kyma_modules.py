"""Kyma's modules: the workloads that they run in `kyma-system`, what those need, and who calls them.

A default-deny in that namespace cuts what no policy opens. Some modules bring policies of their own, others
bring none, or have them switched off: `KymaWorkload.lacks` tells what is left for somebody else to open.

Labels are those of the pods. Many are not unique there (`control-plane: manager` is two modules', and all
that one of them has), so `selector` is what tells a workload's pods from all others of the namespace.
"""

from __future__ import annotations

from istio_netpol.model.labels import Labels, Operator, Requirement, Selector
from istio_netpol.platforms.kyma_workload import (
    KYMA_NAMESPACE,
    KymaCall,
    KymaNeed,
    KymaWorkload,
    OutsideCall,
    OwnPolicies,
    Subscribers,
)


def kyma_workload(namespace: str, labels: Labels) -> KymaWorkload | None:
    """Which workload of a module pods of a namespace are, by their labels."""
    if namespace != KYMA_NAMESPACE:
        return None
    return next((workload for workload in KYMA_WORKLOADS if workload.selector.matches(labels)), None)


def _named(**labels: str) -> dict[str, str]:
    """Labels of the prefix `app.kubernetes.io/`."""
    return {f"app.kubernetes.io/{key}": value for key, value in labels.items()}


_MODULE = "kyma-project.io/module"
_EVENTING_MANAGER = "kyma-project/eventing-manager 1.6.3"
_NATS_MANAGER = "kyma-project/nats-manager 8fabee2 (2026-06-12)"
_WARDEN = "kyma-project/warden 0.7.0"
_API_GATEWAY = "kyma-project/api-gateway 3.10.0"
_CONNECTOR = "kyma-project/application-connector-manager 1.3.300"
_CONNECTIVITY = (
    "kyma-project/cp-mod-migrator 17e3565 (2024-09-04) hack; SAP-docs/btp-connectivity (2026-07-30)"
)
_TELEMETRY = "kyma-project/telemetry-manager 1.69.0"
_KEDA = "kyma-project/keda-manager 1.12.1"
_BTP = "kyma-project/btp-manager 1.3.20"
_SERVERLESS = "kyma-project/serverless 1.13.0"

_EVENT_MESH = OutsideCall(
    "SAP Event Mesh",
    443,
    "with the backend EventMesh, events go to SAP Event Mesh",
    # Which backend there is stands on the pods of the publisher proxy.
    only_beside={"eventing.kyma-project.io/backend": "EventMesh"},
)

_ISTIO_WORKLOADS = (
    KymaWorkload(
        "istio",
        "istio-controller-manager",
        Selector.of(_named(name="istio-operator")),
        ("kyma-project/istio 1.30.0 config/manager",),
        _named(name="istio-operator") | {_MODULE: "istio", "control-plane": "controller-manager"},
        watches="it installs Istio, and writes the policies that the module has switched on",
        metrics=(8080,),
        own=OwnPolicies.OFF,
    ),
    KymaWorkload(
        "api-gateway",
        "api-gateway-controller-manager",
        Selector.of(_named(name="api-gateway-operator")),
        (
            f"{_API_GATEWAY} config/conversion_webhook, config/admission-webhook/manifests.yaml",
            f"{_API_GATEWAY} internal/reconciliations/gateway/virtual_service.yaml",
        ),
        _named(name="api-gateway-operator") | {_MODULE: "api-gateway", "control-plane": "controller-manager"},
        watches="it turns APIRules into Istio objects",
        webhook_port=9443,
        fails_closed=True,
        metrics=(8080,),
        own=OwnPolicies.OFF,
    ),
    KymaWorkload(
        "api-gateway",
        "oathkeeper",
        Selector.of(_named(name="oathkeeper", instance="ory")),
        (f"{_API_GATEWAY} internal/reconciliations/oathkeeper",),
        _named(name="oathkeeper", instance="ory") | {_MODULE: "api-gateway"},
        sidecar=True,
        watches="its maester reads Rules",
        metrics=(4456,),
        for_gateway=(4455,),
        outside=(OutsideCall("identity providers", 443, "it fetches keys and asks about tokens"),),
        subscribers=Subscribers("exposed workloads", 8080, "it forwards requests to what a Rule exposes"),
        own=OwnPolicies.OFF,
    ),
)

_EVENTING_WORKLOADS = (
    KymaWorkload(
        "eventing",
        "eventing-manager",
        Selector.of(_named(name="eventing-manager")),
        (f"{_EVENTING_MANAGER} config/manager/manager.yaml", f"{_EVENTING_MANAGER} pkg/backend/jetstream"),
        _named(name="eventing-manager", instance="eventing-manager", component="eventing-manager")
        | {"control-plane": "eventing-manager"},
        sidecar=True,
        watches="it reads Subscriptions",
        metrics=(8080,),
        calls=(KymaCall("eventing-nats", 4222, "it takes events out of JetStream"),),
        outside=(_EVENT_MESH,),
        subscribers=Subscribers("subscribers", 8080, "it delivers events to the sinks of Subscriptions"),
    ),
    KymaWorkload(
        "eventing",
        "eventing-publisher-proxy",
        Selector.of(_named(name="eventing-publisher-proxy")),
        (f"{_EVENTING_MANAGER} pkg/eventing/deployment.go, pkg/eventing/utils.go",),
        _named(name="eventing-publisher-proxy", instance="eventing", component="eventing-manager")
        | {"kyma-project.io/dashboard": "eventing"},
        sidecar=True,
        watches="it reads Subscriptions and Applications",
        metrics=(9090,),
        for_pods=(8080,),
        calls=(KymaCall("eventing-nats", 4222, "it puts events into JetStream"),),
        outside=(_EVENT_MESH,),
    ),
    KymaWorkload(
        "nats",
        "nats-manager",
        # All its pods have is a label that the pods of keda-manager have as well.
        Selector(
            (("control-plane", "manager"),),
            (Requirement("app.kubernetes.io/component", Operator.DOES_NOT_EXIST),),
        ),
        (f"{_NATS_MANAGER} config/manager/manager.yaml", f"{_NATS_MANAGER} config/default"),
        {"control-plane": "manager"},
        sidecar=True,
        watches="it installs NATS",
        metrics=(8080,),
    ),
    KymaWorkload(
        "nats",
        "eventing-nats",
        Selector.of(_named(name="nats", instance="eventing")),
        (f"{_NATS_MANAGER} resources/nats/templates/statefulset.yaml",),
        _named(name="nats", instance="eventing")
        | {"kyma-project.io/dashboard": "eventing", "nats_cluster": "eventing-nats"},
        kind="StatefulSet",
        metrics=(7777,),
        calls=(KymaCall("eventing-nats", 6222, "the servers of a cluster keep JetStream's quorum"),),
    ),
)

_NOTARY = OutsideCall("notary and image registries", 443, "it checks the signatures of images")

_WARDEN_WORKLOADS = (
    KymaWorkload(
        "warden",
        "warden-admission",
        Selector.of({"app": "warden"} | _named(component="warden-admission")),
        (f"{_WARDEN} charts/warden/charts/warden-admission, internal/webhook/webhook.go",),
        {"app": "warden", _MODULE: "warden"} | _named(component="warden-admission"),
        watches="it reads pull secrets, and keeps its webhooks",
        webhook_port=8443,
        metrics=(9090,),
        outside=(_NOTARY,),
    ),
    KymaWorkload(
        "warden",
        "warden-operator",
        Selector.of({"app": "warden"} | _named(component="warden-operator")),
        (f"{_WARDEN} charts/warden/charts/warden-operator",),
        {"app": "warden", _MODULE: "warden"} | _named(component="warden-operator"),
        watches="it labels Pods by what their images' signatures say",
        outside=(_NOTARY,),
    ),
)

_CONNECTOR_WORKLOADS = (
    KymaWorkload(
        "application-connector",
        "application-connector-controller-manager",
        Selector.of({"app": "application-connector-manager"}),
        (f"{_CONNECTOR} config/manager/manager.yaml",),
        {"app": "application-connector-manager", "control-plane": "controller-manager"},
        sidecar=True,
        watches="it installs the other workloads of the module",
        metrics=(8080,),
        own=OwnPolicies.OFF,
    ),
    KymaWorkload(
        "application-connector",
        "central-application-gateway",
        Selector.of({"app": "central-application-gateway"}),
        (f"{_CONNECTOR} config/application-connector.yaml",),
        {"app": "central-application-gateway", _MODULE: "application-connector"},
        sidecar=True,
        watches="it reads Applications and the secrets of their systems",
        for_pods=(8080, 8082),
        outside=(
            OutsideCall("connected systems", 443, "it forwards calls to what is connected", any_port=True),
        ),
        own=OwnPolicies.OFF,
    ),
    KymaWorkload(
        "application-connector",
        "central-application-connectivity-validator",
        Selector.of({"app": "central-application-connectivity-validator"}),
        (f"{_CONNECTOR} config/application-connector.yaml",),
        {"app": "central-application-connectivity-validator", _MODULE: "application-connector"},
        sidecar=True,
        watches="it reads Applications",
        for_gateway=(8080,),
        calls=(KymaCall("eventing-publisher-proxy", 8080, "it passes on events of connected systems"),),
        own=OwnPolicies.OFF,
    ),
    KymaWorkload(
        "application-connector",
        "compass-runtime-agent",
        Selector.of({"app": "compass-runtime-agent"}),
        (f"{_CONNECTOR} config/application-connector.yaml",),
        {"app": "compass-runtime-agent", _MODULE: "application-connector"},
        sidecar=True,
        watches="it writes Applications",
        outside=(OutsideCall("the Unified Customer Landscape", 443, "it fetches what is connected there"),),
        own=OwnPolicies.OFF,
    ),
)

_CONNECTIVITY_WORKLOADS = (
    KymaWorkload(
        "connectivity-proxy",
        "connectivity-proxy",
        Selector.of({"app": "connectivity-proxy"}),
        (_CONNECTIVITY,),
        {"app": "connectivity-proxy", "release": "connectivity-proxy"},
        kind="StatefulSet",
        sidecar=True,
        for_pods=(20001, 20003, 20004),
        for_gateway=(8042,),
        outside=(OutsideCall("SAP's connectivity service", 443, "it keeps the tunnel to Cloud Connectors"),),
        subscribers=Subscribers("services of a service channel", 8080, "it serves service channels"),
    ),
    KymaWorkload(
        "connectivity-proxy",
        "connectivity-proxy-operator",
        Selector.of({"app": "connectivity-proxy-operator"}),
        (_CONNECTIVITY,),
        {"app": "connectivity-proxy-operator"},
        sidecar=True,
        watches="it installs the connectivity proxy",
    ),
)

_TELEMETRY_BACKENDS = (OutsideCall("backends", 443, "it sends what it collects"),)

_TELEMETRY_WORKLOADS = (
    KymaWorkload(
        "telemetry",
        "telemetry-manager",
        Selector.of({"control-plane": "telemetry-manager"}),
        (f"{_TELEMETRY} helm/templates",),
        {"control-plane": "telemetry-manager", _MODULE: "telemetry"} | _named(name="manager"),
        watches="it installs the collectors, and validates pipelines",
        webhook_port=9443,
        fails_closed=True,
        metrics=(8080,),
        calls=(KymaCall("telemetry-self-monitor", 9090, "it asks how the pipelines are"),),
        own=OwnPolicies.ON,
    ),
    *(
        KymaWorkload(
            "telemetry",
            name,
            Selector.of(_named(name=label)),
            (f"{_TELEMETRY} internal/resources",),
            _named(name=label) | {_MODULE: "telemetry"},
            kind="DaemonSet",
            sidecar=True,
            watches="it reads Pods and Namespaces",
            metrics=metrics,
            for_pods=for_pods,
            outside=_TELEMETRY_BACKENDS,
            own=OwnPolicies.ON,
        )
        for name, label, metrics, for_pods in (
            ("telemetry-otlp-gateway", "telemetry-otlp-gateway", (8888,), (4317, 4318)),
            ("telemetry-metric-agent", "telemetry-metric-agent", (8888,), ()),
            ("telemetry-log-agent", "telemetry-log-agent", (8888,), ()),
            ("telemetry-fluent-bit", "fluent-bit", (2020, 2021), ()),
        )
    ),
    KymaWorkload(
        "telemetry",
        "telemetry-self-monitor",
        Selector.of(_named(name="telemetry-self-monitor")),
        (f"{_TELEMETRY} internal/resources/selfmonitor",),
        _named(name="telemetry-self-monitor") | {_MODULE: "telemetry"},
        watches="it finds what it scrapes by the API server",
        metrics=(9090,),
        calls=(KymaCall("telemetry-manager", 9443, "it sends alerts to the manager"),),
        own=OwnPolicies.ON,
    ),
)

_KEDA_WEBHOOK_GAP = (
    "keda-manager narrows the ingress rule for 9443 to the ClusterIP of Service kubernetes, from which "
    "nobody calls"
)

_KEDA_WORKLOADS = (
    KymaWorkload(
        "keda",
        "keda-manager",
        Selector.of(_named(component="keda-manager.kyma-project.io")),
        (f"{_KEDA} config/manager/manager.yaml",),
        _named(component="keda-manager.kyma-project.io") | {"control-plane": "manager", _MODULE: "keda"},
        watches="it installs KEDA",
        metrics=(8080,),
        own=OwnPolicies.ON,
        gaps={KymaNeed.METRICS: "no policy of the module opens the manager's metrics"},
    ),
    KymaWorkload(
        "keda",
        "keda-operator",
        Selector.of({"app": "keda-operator"}),
        (f"{_KEDA} keda.yaml",),
        {"app": "keda-operator", _MODULE: "keda"},
        watches="it scales workloads",
        metrics=(8080,),
        own=OwnPolicies.ON,
    ),
    KymaWorkload(
        "keda",
        "keda-operator-metrics-apiserver",
        Selector.of({"app": "keda-operator-metrics-apiserver"}),
        (f"{_KEDA} keda.yaml",),
        {"app": "keda-operator-metrics-apiserver", _MODULE: "keda"},
        watches="it serves the API of external metrics",
        webhook_port=6443,
        fails_closed=True,
        metrics=(8080,),
        calls=(KymaCall("keda-operator", 9666, "it asks the operator for the values of scalers"),),
        own=OwnPolicies.ON,
    ),
    KymaWorkload(
        "keda",
        "keda-admission-webhooks",
        Selector.of({"app": "keda-admission-webhooks"}),
        (f"{_KEDA} keda.yaml, pkg/reconciler/fsm.go, controllers/keda_controller.go",),
        {"app": "keda-admission-webhooks", _MODULE: "keda"},
        watches="it reads what is scaled already",
        webhook_port=9443,
        metrics=(8080,),
        own=OwnPolicies.ON,
        gaps={KymaNeed.WEBHOOK: _KEDA_WEBHOOK_GAP},
    ),
)

_BTP_FIRST = "btp-manager writes the policies itself, which a deny that is there before it prevents"

_LIFECYCLE_WORKLOADS = (
    KymaWorkload(
        "btp-operator",
        "btp-manager-controller-manager",
        Selector.of(_named(component="btp-manager.kyma-project.io")),
        (f"{_BTP} config/manager",),
        _named(component="btp-manager.kyma-project.io") | {_MODULE: "btp-operator"},
        watches="it installs the SAP BTP service operator, and writes the policies of both",
        metrics=(8080,),
        own=OwnPolicies.ON,
        gaps={
            KymaNeed.API_SERVER: _BTP_FIRST,
            KymaNeed.DNS: _BTP_FIRST,
        },
    ),
    KymaWorkload(
        "btp-operator",
        "sap-btp-operator-controller-manager",
        Selector.of(_named(instance="sap-btp-operator")),
        (f"{_BTP} module-resources/apply",),
        _named(instance="sap-btp-operator")
        | {_MODULE: "btp-operator", "control-plane": "controller-manager"},
        watches="it keeps ServiceInstances and ServiceBindings",
        webhook_port=9443,
        fails_closed=True,
        metrics=(8080,),
        outside=(OutsideCall("SAP Service Manager", 443, "it orders services"),),
        own=OwnPolicies.ON,
    ),
    KymaWorkload(
        "serverless",
        "serverless-operator",
        Selector.of(_named(component="serverless-operator.kyma-project.io")),
        (f"{_SERVERLESS} config/operator/base",),
        _named(component="serverless-operator.kyma-project.io")
        | {"control-plane": "operator", _MODULE: "serverless"},
        watches="it installs the controller of Functions",
        metrics=(8080,),
        own=OwnPolicies.ON,
    ),
    KymaWorkload(
        "serverless",
        "serverless-ctrl-mngr",
        Selector.of({"app": "serverless"}),
        (f"{_SERVERLESS} config/buildless-serverless",),
        {"app": "serverless", _MODULE: "serverless", "control-plane": "controller-manager"},
        watches="it runs Functions",
        metrics=(8080,),
        outside=(OutsideCall("Git servers", 443, "it reads the sources of Functions"),),
        own=OwnPolicies.ON,
    ),
    KymaWorkload(
        "lifecycle-manager",
        "skr-webhook",
        Selector.of({"app": "skr-webhook"}),
        ("kyma-project/lifecycle-manager 1.20.4 skr-webhook/resources.yaml",),
        {"app": "skr-webhook"},
        webhook_port=8443,
        metrics=(2112,),
        outside=(OutsideCall("Kyma's control plane", 443, "it tells of changes of watched objects"),),
        own=OwnPolicies.ON,
    ),
    KymaWorkload(
        "kim-snatch",
        "kim-snatch-controller-manager",
        Selector.of(_named(component="kim-snatch")),
        ("kyma-project/kim-snatch 1.0.16 config",),
        _named(component="kim-snatch") | {"control-plane": "controller-manager"},
        watches="it reads Nodes",
        webhook_port=9443,
        metrics=(8080,),
        own=OwnPolicies.ON,
    ),
    KymaWorkload(
        "rt-bootstrapper",
        "rt-bootstrapper-controller-manager",
        Selector.of(_named(name="rt-bootstrapper")),
        (
            "kyma-project/rt-bootstrapper aaf49a2 config/manager/manager.yaml, "
            "e89d564 config/network-policy, e261c1a config/webhook/manifests.yaml",
        ),
        _named(name="rt-bootstrapper") | {"control-plane": "controller-manager"},
        watches="it copies pull secrets, and changes Pods of Kyma's namespaces",
        webhook_port=9443,
        fails_closed=True,
        metrics=(8080,),
        own=OwnPolicies.ON,
        gaps={KymaNeed.DNS: "the module's policies open 443 and no DNS, by which it finds the API server"},
    ),
    KymaWorkload(
        "registry-cache",
        "registry-cache-controller-manager",
        Selector.of(_named(name="registry-cache")),
        ("kyma-project/registry-cache 1.0.2 config",),
        _named(name="registry-cache") | {"control-plane": "controller-manager"},
        watches="it validates RegistryCacheConfigs",
        webhook_port=9443,
        fails_closed=True,
        metrics=(8443,),
        own=OwnPolicies.ON,
    ),
)

KYMA_WORKLOADS: tuple[KymaWorkload, ...] = (
    *_ISTIO_WORKLOADS,
    *_EVENTING_WORKLOADS,
    *_WARDEN_WORKLOADS,
    *_CONNECTOR_WORKLOADS,
    *_CONNECTIVITY_WORKLOADS,
    *_KEDA_WORKLOADS,
    *_TELEMETRY_WORKLOADS,
    *_LIFECYCLE_WORKLOADS,
)
"""Every workload that is known of, each module's together."""

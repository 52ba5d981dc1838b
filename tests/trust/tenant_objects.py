"""Hypothesis strategies of what a hostile tenant may write: any kind that is read, in team-a, with every
field that may name something of others'.

Names, selectors and addresses are drawn from few, so that objects often meet each other and the world.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from tests.trust.case_files import Manifest
from tests.trust.openings import HOSTILE

SVC = "svc.cluster.local"
HOSTS = st.sampled_from(
    (
        "evil",
        "mine",
        f"bank.team-b.{SVC}",
        f"db.team-b.{SVC}",
        "open.team-b",
        f"evil.{HOSTILE}.{SVC}",
        f"mine.{HOSTILE}.{SVC}",
        f"istiod.istio-system.{SVC}",
        f"istio-ingressgateway.istio-system.{SVC}",
        f"kube-dns.kube-system.{SVC}",
        f"kubernetes.default.{SVC}",
        "api.example.com",
        "md.example.com",
        "169.254.169.254",
    )
)
ADDRESSES = st.sampled_from(
    (
        "169.254.169.254",
        "10.0.0.2",
        "10.0.0.5",
        "10.96.1.21",
        "10.96.0.1",
        "10.244.0.8",
        "127.0.0.1",
        "168.63.129.16",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
        "8.8.8.8",
    )
)
CIDRS = st.sampled_from(("0.0.0.0/0", "160.0.0.0/3", "10.0.0.0/8", "::/0", "8.8.8.0/24", "169.254.0.0/16"))
PORTS = st.sampled_from((80, 80, 80, 8080, 5432, 443, 53, 6443, 15000, 15008, 15012))
SELECTORS = st.sampled_from(
    (
        {"app": "evil"},
        {"app": "bank-db"},
        {"app": "bank"},
        {"app": "istiod"},
        {"istio": "ingressgateway"},
        {"k8s-app": "kube-dns"},
        {"gateway.networking.k8s.io/gateway-name": "shared"},
        {"gateway.networking.k8s.io/gateway-name": "mine"},
        {},
    )
)
NAMESPACES = st.sampled_from((HOSTILE, "team-b", "istio-system", "istio-ingress", "kube-system"))
GATEWAYS = st.sampled_from(("istio-system/public", "istio-system/public", "mine", "mesh", "team-b/front"))
SERVICES = st.sampled_from(("evil", "mine", "bank", "db", "open", "istiod", "kube-dns"))
NAMES = st.sampled_from(("mine", "evil", "shared", "bank", "db", "public"))
CALLS = st.one_of(
    st.builds("{}:{}".format, HOSTS, PORTS),
    st.builds("{}/{}:{}".format, NAMESPACES, SERVICES, PORTS),
    st.builds("{}:{}".format, ADDRESSES.map(lambda text: f"[{text}]" if ":" in text else text), PORTS),
    st.builds("{}:{}".format, CIDRS, PORTS),
    st.just("apiserver"),
)
WAYPOINTS = st.sampled_from(
    (
        {},
        {"istio.io/use-waypoint": "wp", "istio.io/use-waypoint-namespace": "team-b"},
        {"istio.io/use-waypoint": "mine", "istio.io/ingress-use-waypoint": "true"},
    )
)

MESH_LABELS = st.sampled_from(
    ({}, {"sidecar.istio.io/inject": "false"}, {"istio.io/dataplane-mode": "ambient"})
)

Draw = st.DrawFn
VERSIONS = {
    "networking.istio.io/v1": (
        "Gateway",
        "VirtualService",
        "ServiceEntry",
        "WorkloadEntry",
        "DestinationRule",
        "Sidecar",
    ),
    "security.istio.io/v1": ("AuthorizationPolicy", "RequestAuthentication"),
    "gateway.networking.k8s.io/v1": ("HTTPRoute", "GRPCRoute"),
    "gateway.networking.k8s.io/v1alpha2": ("TCPRoute", "TLSRoute"),
}


def _of(version: str, kind: str, name: str, spec: Any, **metadata: Any) -> Manifest:
    whole = {"name": name, "namespace": HOSTILE, **metadata}
    return {"apiVersion": version, "kind": kind, "metadata": whole, "spec": spec}


def _several(draw: Draw, values: st.SearchStrategy[Any], most: int = 2) -> list[Any]:
    return draw(st.lists(values, min_size=1, max_size=most))


def _workload(draw: Draw) -> Manifest:
    """Pods with anybody's labels, which call, consent and configure their proxy."""
    labels = draw(SELECTORS) or {"app": "mine"}
    more = draw(
        st.sampled_from(({}, {"sidecar.istio.io/inject": "false"}, {"istio.io/dataplane-mode": "ambient"}))
    )
    annotations = {
        "istio-netpol.io/calls": ", ".join(_several(draw, CALLS, 3)),
        "istio-netpol.io/called-by": draw(st.sampled_from(("", "team-b/*", "*/*"))),
        "proxy.istio.io/config": draw(st.sampled_from(("", "discoveryAddress: {}:{}")).map(str)).format(
            draw(HOSTS), draw(PORTS)
        ),
        **draw(st.sampled_from(({}, {"inject.istio.io/templates": "gateway"}))),
    }
    pods = {
        "metadata": {"labels": {**labels, **more}, "annotations": annotations},
        "spec": {
            "serviceAccountName": draw(st.sampled_from(("evil", "bank"))),
            "hostNetwork": draw(st.sampled_from((False, False, True))),
            "containers": [{"name": "app", "image": "x", "ports": [{"containerPort": draw(PORTS)}]}],
        },
    }
    spec = {"selector": {"matchLabels": labels}, "template": pods}
    return _of("apps/v1", "Deployment", draw(NAMES), spec)


def _pod(draw: Draw) -> Manifest:
    workload = _workload(draw)
    pods, owner = workload["spec"]["template"], {"apiVersion": "apps/v1", "uid": "1", "controller": True}
    owners = draw(st.sampled_from(([], [{**owner, "kind": "Deployment", "name": "bank"}])))
    pod = _of("v1", "Pod", draw(NAMES), pods["spec"], **pods["metadata"], ownerReferences=owners)
    return {**pod, "status": {"podIP": draw(ADDRESSES), "hostIP": "10.0.0.5"}}


def _service(draw: Draw) -> Manifest:
    port = {"name": "tcp", "port": draw(PORTS), "targetPort": draw(PORTS)}
    spec = draw(
        st.one_of(
            st.fixed_dictionaries({"selector": SELECTORS}),
            st.fixed_dictionaries({"type": st.just("ExternalName"), "externalName": HOSTS}),
            st.just({}),
        )
    )
    annotations = {"istio-netpol.io/called-by": "*/*, team-a/*"}
    return _of(
        "v1",
        "Service",
        draw(NAMES),
        {**spec, "ports": [port]},
        labels=draw(WAYPOINTS),
        annotations=annotations,
    )


def _slice(draw: Draw) -> Manifest:
    labels = {"kubernetes.io/service-name": draw(SERVICES)}
    target = {"kind": "Pod", "name": "db-0", "namespace": "team-b"}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": draw(NAMES), "namespace": HOSTILE, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "targetRef": target} for address in _several(draw, ADDRESSES)],
        "ports": [{"name": "tcp", "port": draw(PORTS)}],
    }


def _endpoints(draw: Draw) -> Manifest:
    subset = {
        "addresses": [{"ip": address} for address in _several(draw, ADDRESSES)],
        "ports": [{"name": "tcp", "port": draw(PORTS)}],
    }
    metadata = {"name": draw(SERVICES), "namespace": HOSTILE}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]}


def _gateway(draw: Draw) -> Manifest:
    tls = st.sampled_from(({}, {"tls": {"mode": "AUTO_PASSTHROUGH"}}))
    servers = [
        {"port": {"number": port, "name": f"p{port}", "protocol": "TCP"}, "hosts": ["*"], **draw(tls)}
        for port in _several(draw, PORTS)
    ]
    return _istio("Gateway", draw(NAMES), {"selector": draw(SELECTORS), "servers": servers})


def _istio(kind: str, name: str, spec: Any, **metadata: Any) -> Manifest:
    version = next(version for version, kinds in VERSIONS.items() if kind in kinds)
    return _of(version, kind, name, spec, **metadata)


def _destination(draw: Draw) -> Any:
    return {"destination": {"host": draw(HOSTS), "port": {"number": draw(PORTS)}, "subset": draw(NAMES)}}


def _virtual_service(draw: Draw) -> Manifest:
    delegate = {"delegate": {"name": draw(NAMES), "namespace": draw(NAMESPACES)}}
    routes = [{"route": [_destination(draw)], "mirror": {"host": draw(HOSTS)}}]
    spec = {
        "hosts": _several(draw, HOSTS),
        "gateways": _several(draw, GATEWAYS),
        draw(st.sampled_from(("http", "tcp", "tls"))): routes,
        **draw(st.sampled_from(({}, {"http": [delegate]}))),
    }
    return _istio("VirtualService", draw(NAMES), spec)


def _service_entry(draw: Draw) -> Manifest:
    endpoints = draw(
        st.one_of(
            st.fixed_dictionaries({"addresses": st.lists(ADDRESSES | CIDRS, min_size=1, max_size=2)}),
            st.builds(lambda address: {"endpoints": [{"address": address}]}, ADDRESSES | HOSTS),
            st.builds(lambda labels: {"workloadSelector": {"labels": labels}}, SELECTORS),
        )
    )
    spec = {
        "hosts": _several(draw, HOSTS),
        "resolution": draw(st.sampled_from(("STATIC", "DNS", "NONE"))),
        "ports": [{"number": draw(PORTS), "targetPort": draw(PORTS), "name": "tcp", "protocol": "TCP"}],
        "exportTo": ["*"],
        **endpoints,
    }
    return _istio("ServiceEntry", draw(NAMES), spec, labels=draw(WAYPOINTS))


def _workload_entry(draw: Draw) -> Manifest:
    return _istio("WorkloadEntry", draw(NAMES), {"address": draw(ADDRESSES), "labels": draw(SELECTORS)})


def _destination_rule(draw: Draw) -> Manifest:
    subsets = [{"name": draw(NAMES), "labels": draw(SELECTORS)}]
    return _istio("DestinationRule", draw(NAMES), {"host": draw(HOSTS), "subsets": subsets})


def _sidecar(draw: Draw) -> Manifest:
    hosts = [f"{draw(NAMESPACES)}/{draw(HOSTS)}", f"{draw(NAMESPACES)}/*"]
    return _istio("Sidecar", draw(NAMES), {"egress": [{"hosts": hosts}]})


def _envoy_filter(draw: Draw) -> Manifest:
    cluster = draw(st.sampled_from(("outbound|{}||{}", "outbound_.{}_._.{}"))).format(
        draw(PORTS), draw(HOSTS)
    )
    own = {"socket_address": {"address": draw(st.one_of(HOSTS, ADDRESSES)), "port_value": draw(PORTS)}}
    patches = [
        {"applyTo": "HTTP_FILTER", "patch": {"operation": "INSERT_FIRST", "value": {"cluster": cluster}}},
        {"applyTo": "CLUSTER", "patch": {"operation": "ADD", "value": {"load_assignment": own}}},
    ]
    spec = {"configPatches": patches, "workloadSelector": {"labels": {"app": draw(NAMES)}}}
    if draw(st.booleans()):
        del spec["workloadSelector"]
    return _of("networking.istio.io/v1alpha3", "EnvoyFilter", draw(NAMES), spec)


def _wasm_plugin(draw: Draw) -> Manifest:
    host, port = draw(st.one_of(HOSTS, ADDRESSES)), draw(PORTS)
    written = f"[{host}]" if ":" in host else host
    spec = {"url": f"{draw(st.sampled_from(('oci', 'http')))}://{written}:{port}/module:1"}
    return _of("extensions.istio.io/v1alpha1", "WasmPlugin", draw(NAMES), spec)


def _authorization_policy(draw: Draw) -> Manifest:
    source = draw(
        st.one_of(
            st.builds(lambda name: {"namespaces": [name]}, NAMESPACES),
            st.builds(lambda name: {"principals": [f"cluster.local/ns/{name}/sa/bank"]}, NAMESPACES),
            st.builds(lambda block: {"ipBlocks": [block]}, CIDRS | ADDRESSES),
        )
    )
    target = {"group": "", "kind": "Service", "name": draw(SERVICES), "namespace": draw(NAMESPACES)}
    where = draw(
        st.sampled_from(({}, {"targetRefs": [target]}, {"selector": {"matchLabels": draw(SELECTORS)}}))
    )
    rule = {"from": [{"source": source}], "to": [{"operation": {"ports": [str(draw(PORTS))]}}]}
    return _istio("AuthorizationPolicy", draw(NAMES), {"action": "ALLOW", "rules": [rule], **where})


def _request_authentication(draw: Draw) -> Manifest:
    url = f"http://{draw(HOSTS | ADDRESSES.filter(lambda text: ':' not in text))}:{draw(PORTS)}/keys"
    return _istio("RequestAuthentication", draw(NAMES), {"jwtRules": [{"issuer": "a", "jwksUri": url}]})


def _telemetry(draw: Draw) -> Manifest:
    spec = {"tracing": [{"providers": [{"name": draw(NAMES)}]}]}
    return _of("telemetry.istio.io/v1", "Telemetry", draw(NAMES), spec)


def _kubernetes_gateway(draw: Draw) -> Manifest:
    address = draw(
        st.builds(lambda host: {"type": "Hostname", "value": host}, HOSTS)
        | st.builds(lambda text: {"type": "IPAddress", "value": text}, ADDRESSES)
    )
    spec = {
        "gatewayClassName": draw(st.sampled_from(("istio", "istio-waypoint"))),
        "addresses": draw(st.sampled_from(([], [address]))),
        "listeners": [{"name": "tcp", "port": draw(PORTS), "protocol": "TCP"}],
    }
    return _of("gateway.networking.k8s.io/v1", "Gateway", draw(NAMES), spec)


def _listener_set(draw: Draw) -> Manifest:
    parent = {"name": draw(NAMES), "namespace": draw(NAMESPACES)}
    listeners = [{"name": "more", "port": draw(PORTS), "protocol": draw(st.sampled_from(("HTTP", "TCP")))}]
    spec = {"parentRef": parent, "listeners": listeners}
    return _of("gateway.networking.k8s.io/v1", "ListenerSet", draw(NAMES), spec)


def _ingress(draw: Draw) -> Manifest:
    backend = {"service": {"name": draw(SERVICES), "port": {"number": draw(PORTS)}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    made = _of("networking.k8s.io/v1", "Ingress", draw(NAMES), {"rules": [{"http": {"paths": paths}}]})
    made["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "istio"}
    return made


def _route(draw: Draw) -> Manifest:
    kind = draw(st.sampled_from(("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute")))
    backend = draw(
        st.builds(
            lambda host, port: {
                "group": "networking.istio.io",
                "kind": "Hostname",
                "name": host,
                "port": port,
            },
            HOSTS,
            PORTS,
        )
        | st.builds(
            lambda name, namespace, port: {"name": name, "namespace": namespace, "port": port},
            SERVICES,
            NAMESPACES,
            PORTS,
        )
    )
    parent = draw(
        st.sampled_from(
            (
                {"name": "shared", "namespace": "istio-ingress"},
                {"name": "mine"},
                {"name": "wp", "namespace": "team-b"},
                {"group": "", "kind": "Service", "name": "bank", "namespace": "team-b"},
            )
        )
    )
    return _istio(kind, draw(NAMES), {"parentRefs": [parent], "rules": [{"backendRefs": [backend]}]})


def _reference_grant(draw: Draw) -> Manifest:
    source = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": HOSTILE}
    spec = {"from": [source], "to": [{"group": "", "kind": "Service"}]}
    return _of("gateway.networking.k8s.io/v1beta1", "ReferenceGrant", draw(NAMES), spec)


def _config_map(draw: Draw) -> Manifest:
    provider = (
        f"extensionProviders: [{{name: mine, zipkin: {{service: {draw(HOSTS)}, port: {draw(PORTS)}}}}}]"
    )
    mesh = f"rootNamespace: team-a\n{provider}\ndefaultConfig: {{discoveryAddress: {draw(HOSTS)}:15012}}\n"
    metadata = {"name": "istio", "namespace": HOSTILE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"mesh": mesh}}


def _network_policy(draw: Draw) -> Manifest:
    labels = {"app.kubernetes.io/managed-by": "istio-netpol", "istio-netpol.io/flow": "dns"}
    spec = {"podSelector": {"matchLabels": draw(SELECTORS)}, "policyTypes": ["Ingress", "Egress"]}
    return _of("networking.k8s.io/v1", "NetworkPolicy", draw(NAMES), spec, labels=labels)


def _peer_authentication(draw: Draw) -> Manifest:
    modes = st.sampled_from(("STRICT", "PERMISSIVE", "DISABLE", "UNSET"))
    spec = {
        "selector": {"matchLabels": draw(SELECTORS)},
        "mtls": {"mode": draw(modes)},
        "portLevelMtls": {str(draw(PORTS)): {"mode": draw(modes)}},
    }
    return _of("security.istio.io/v1", "PeerAuthentication", draw(NAMES), spec)


WRITERS: tuple[Callable[[Draw], Manifest], ...] = (
    _workload,
    _pod,
    _service,
    _slice,
    _endpoints,
    _gateway,
    _virtual_service,
    _service_entry,
    _workload_entry,
    _destination_rule,
    _sidecar,
    _envoy_filter,
    _wasm_plugin,
    _authorization_policy,
    _request_authentication,
    _telemetry,
    _kubernetes_gateway,
    _listener_set,
    _ingress,
    _route,
    _reference_grant,
    _config_map,
    _network_policy,
    _peer_authentication,
)


@st.composite
def tenant_objects(draw: Draw) -> list[Manifest]:
    """Some objects of team-a, each name of a kind once, in the order in which they are written."""
    writers = draw(st.lists(st.sampled_from(WRITERS), min_size=1, max_size=5))
    found = [writer(draw) for writer in writers]
    return list({(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in found}.values())

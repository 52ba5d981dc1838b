"""Decodes controllers and pods into workloads, with the ports of their probes and what their containers dial
for the API server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from istio_netpol.manifests.decode_core import addresses_in, protocol_of, required_port
from istio_netpol.manifests.decode_selectors import SUBDOMAIN, labels_of, selector_of
from istio_netpol.manifests.fields import Fields
from istio_netpol.manifests.mesh_config_fields import annotated_tracing_address
from istio_netpol.model.addresses import Address, parse_address
from istio_netpol.model.connections import parse_port
from istio_netpol.model.control_plane import STATUS_ANNOTATION
from istio_netpol.model.labels import Selector
from istio_netpol.model.own_names import CALLED_BY, CALLS
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.workloads import ContainerPort, DialledApiServer, Owner, Workload
from istio_netpol.platforms.environments import AKS_HOST_ANNOTATION

KEPT_ANNOTATIONS = ("istio.io", "istio-netpol.io", "kubernetes.azure.com")
"""Annotation domains, with their subdomains, that some rule reads."""

PROXY_CONTAINER = "istio-proxy"


def decode_controller(fields: Fields, ref: ObjectRef) -> Iterator[Workload]:
    """Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job, and Argo's Rollout.

    A Rollout that takes its template from a Deployment (`workloadRef`) is not a workload; the Deployment is.
    """
    spec = fields.mapping("spec")
    if spec.has("workloadRef") and not spec.has("template"):
        return
    yield _from_template(fields, spec.mapping("template"), _declared_selector(spec, ref), ref)


def decode_cron_job(fields: Fields, ref: ObjectRef) -> Iterator[Workload]:
    """The pods that a CronJob's Jobs will run."""
    job = fields.mapping("spec").mapping("jobTemplate").mapping("spec")
    yield _from_template(fields, job.mapping("template"), None, ref)


def decode_pod(fields: Fields, ref: ObjectRef) -> Iterator[Workload]:
    """A pod that runs or will run; completed ones have no network any more."""
    metadata, status = fields.mapping("metadata"), fields.mapping("status")
    if status.text("phase") in ("Succeeded", "Failed"):
        return
    texts = tuple(entry.text("ip") for entry in status.mappings("podIPs")) or (status.text("podIP"),)
    node = tuple(filter(None, [status.text("hostIP")]))
    yield _workload(
        fields,
        fields,
        None,
        ref,
        owner=_controller(metadata),
        exists=bool(
            fields.mapping("spec").has("containers") and (status.has("phase") or metadata.has("uid"))
        ),
        addresses=addresses_in(status, tuple(filter(None, texts)), "podIPs"),
        node_addresses=addresses_in(status, node, "hostIP"),
    )


def _declared_selector(spec: Fields, ref: ObjectRef) -> Selector | None:
    """The controller's selector; a Job's names a generated uid and is of no use before it runs."""
    if not spec.has("selector") or ref.kind == "Job":
        return None
    if ref.kind == "ReplicationController":
        return Selector.of(labels_of(spec, "selector"))
    return selector_of(spec.mapping("selector"))


def _from_template(fields: Fields, template: Fields, selector: Selector | None, ref: ObjectRef) -> Workload:
    return _workload(fields, template, selector, ref, owner=_controller(fields.mapping("metadata")))


def _workload(
    fields: Fields,
    template: Fields,
    selector: Selector | None,
    ref: ObjectRef,
    *,
    owner: Owner | None,
    exists: bool = False,
    addresses: tuple[Address, ...] = (),
    node_addresses: tuple[Address, ...] = (),
) -> Workload:
    own = fields.mapping("metadata").strings("annotations")
    metadata, spec = template.mapping("metadata"), template.mapping("spec")
    annotations = metadata.strings("annotations")
    main, init = list(spec.mappings("containers")), list(spec.mappings("initContainers"))
    # Init containers that keep running are native sidecars.
    dialled = _dialled_api_servers((*main, *init), annotations)
    running = [*main, *(container for container in init if container.text("restartPolicy") == "Always")]
    return Workload(
        ref=ref,
        labels=labels_of(metadata, "labels"),
        selector=selector,
        ports=tuple(_ports(running)),
        host_network=spec.flag("hostNetwork"),
        service_account=spec.text("serviceAccountName") or spec.text("serviceAccount") or "default",
        annotations=_kept(annotations),
        owner=owner,
        addresses=addresses,
        node_addresses=node_addresses,
        exists=exists,
        has_proxy=any(container.text("name") == PROXY_CONTAINER for container in (*main, *init)),
        calls=_joined(CALLS, own, annotations),
        called_by=_joined(CALLED_BY, own, annotations),
        tracing_address=annotated_tracing_address(metadata, annotations),
        probe_ports=_probe_ports(running),
        node_local_addresses=_node_local_addresses(main) if spec.flag("hostNetwork") else (),
        switches=_switches(main),
        api_servers=dialled,
        injected_api_servers=dialled if ref.kind == "Pod" else (),
    )


def _ports(containers: Iterable[Fields]) -> Iterator[ContainerPort]:
    for container in containers:
        for port in container.mappings("ports"):
            yield ContainerPort(required_port(port, "containerPort"), port.text("name"), protocol_of(port))


def _node_local_addresses(containers: Iterable[Fields]) -> tuple[Address, ...]:
    """The addresses after `-localip`: with kube-proxy in iptables mode one of them is the ClusterIP of
    cluster DNS, whose packets then never leave the node and are not translated."""
    found: list[Address] = []
    for container in containers:
        args = [argument for argument in container.content.get("args") or () if isinstance(argument, str)]
        for position, argument in enumerate(args):
            flag, _, value = argument.partition("=")
            if flag.lstrip("-") == "localip":
                value = value or "".join(args[position + 1 : position + 2])
                found += [address for text in value.split(",") if (address := parse_address(text.strip()))]
    return tuple(dict.fromkeys(found))


def _switches(containers: Iterable[Fields]) -> Mapping[str, str]:
    """istiod's feature variables, as far as they are written out."""
    return {
        variable.text("name"): variable.text("value")
        for container in containers
        if "env" in container.content
        for variable in container.mappings("env")
        if variable.text("name").startswith("PILOT_") and variable.has("value")
    }


def _controller(metadata: Fields) -> Owner | None:
    for owner in metadata.mappings("ownerReferences"):
        if owner.flag("controller"):
            if not SUBDOMAIN.fullmatch(owner.text("name")):
                # The API server takes any text. Nothing can be called so, so that nobody owns the pods.
                owner.doubt(owner.at("name"), owner.text("name"), "is not an object name")
                return None
            return Owner(owner.text("apiVersion"), owner.text("kind"), owner.text("name"), owner.text("uid"))
    return None


def _kept(annotations: Mapping[str, str]) -> Mapping[str, str]:
    """The annotations that some rule reads. Of what the injector did it matters that it was there: what it
    wrote differs with each of its versions, and the pods need not."""
    kept = {key: value for key, value in annotations.items() if is_kept(key)}
    return {**kept, STATUS_ANNOTATION: ""} if STATUS_ANNOTATION in kept else kept


def is_kept(key: str) -> bool:
    """Whether some rule reads an annotation of pods or of their controller."""
    domain = key.partition("/")[0]
    return any(domain == kept or domain.endswith("." + kept) for kept in KEPT_ANNOTATIONS)


def _joined(key: str, *places: Mapping[str, str]) -> str:
    """A declared need, from the object and from its template."""
    return ", ".join(dict.fromkeys(place[key] for place in places if place.get(key)))


PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
HANDLERS = ("httpGet", "tcpSocket", "grpc")
"""The kinds of probes that connect; `exec` runs within the container."""


def _probe_ports(containers: Iterable[Fields]) -> tuple[int, ...]:
    """The ports that probes name, ascending. One with a `host` of its own does not connect to the pod."""
    found: set[int] = set()
    for container in containers:
        for probe in PROBES:
            if probe not in container.content:
                continue
            for handler in HANDLERS:
                target = container.mapping(probe).mapping(handler)
                if target.has("port") and not target.has("host"):
                    found.update(_probed_numbers(target, container))
    return tuple(sorted(found))


def _probed_numbers(target: Fields, container: Fields) -> Iterator[int]:
    """A port by number, or by the name that the container gives it."""
    port = target.integer_or_text("port")
    if isinstance(port, int):
        yield port
    elif port is not None:
        for declared in container.mappings("ports"):
            if declared.text("name") == port:
                yield declared.integer("containerPort")


_HOST, _PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
_SET_BY_AKS_ALONE = "KUBERNETES_PORT_443_TCP_ADDR"
"""AKS sets this one as well (Azure/application-gateway-kubernetes-ingress#285), Gardener does not."""

_AKS_DOMAIN = ".azmk8s.io"
_DEFAULT_PORT = 443
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*")


def _dialled_api_servers(
    containers: Iterable[Fields], annotations: Mapping[str, str]
) -> tuple[DialledApiServer, ...]:
    """What the containers of a pod dial, sorted; containers that are told nothing usable are left out."""
    found = set()
    for container in containers:
        if "env" in container.content:
            variables = {
                variable.text("name"): variable.text("value")
                for variable in container.mappings("env")
                if variable.text("name").startswith("KUBERNETES_") and variable.has("value")
            }
            found |= set(_dialled(variables, AKS_HOST_ANNOTATION in annotations))
    return _shared(tuple(sorted(found)))


def _dialled(variables: Mapping[str, str], is_asked_for: bool) -> Iterable[DialledApiServer]:
    host = variables.get(_HOST, "").strip().strip("[]").rstrip(".").lower()
    port = parse_port(variables.get(_PORT, "")) if variables.get(_PORT) else _DEFAULT_PORT
    address = parse_address(host) if "%" not in host else None
    is_name = _NAME.fullmatch(host) is not None and not host.replace(".", "").isdigit()
    if port is None or not (address or is_name) or _is_within_the_pod(host, address):
        return
    is_of_aks = is_asked_for or _SET_BY_AKS_ALONE in variables or host.endswith(_AKS_DOMAIN)
    yield DialledApiServer(str(address) if address else host, port, is_of_aks)


def _is_within_the_pod(host: str, address: Address | None) -> bool:
    """Whether packets to it never leave the pod, so that no policy sees them."""
    return host == "localhost" or (address is not None and address.is_loopback)


@lru_cache(maxsize=1024)
def _shared(dialled: tuple[DialledApiServer, ...]) -> tuple[DialledApiServer, ...]:
    """One shared value for all pods that are told the same: on Gardener, every pod of the cluster."""
    return dialled

"""WasmPlugin: the agents beside the proxies fetch the module, before the proxies serve by it.

The agent dials as any process of the pod would, past the proxy. A registry may send it on to a server of
tokens or of layers. Only its answers say which these are; those of Docker Hub are known.
"""

from __future__ import annotations

from collections.abc import Iterator

from istio_netpol.istio.policy_attachment import enforcing_proxies, is_mesh_wide
from istio_netpol.istio.rule import Outcome, Rule, unknown
from istio_netpol.istio.view.backends import Backend
from istio_netpol.istio.view.mesh_view import MeshView
from istio_netpol.model.flows import FlowKind, PodsPeer, RequiredFlow, Via
from istio_netpol.model.istio_security import WasmPlugin
from istio_netpol.model.workloads import Workload

FIELD = "spec.url"


def outcomes(plugin: WasmPlugin, view: MeshView) -> Iterator[Outcome]:
    """Flows from the pods of the proxies that it extends to where the module is; a finding for a Service that
    is not there."""
    if not plugin.sources and not plugin.url.lower().startswith("file://"):
        sentence = (
            f"{plugin.url or 'an empty URL'} does not name a host that a module could be fetched from; use "
            "an image, or a URL with oci, https, http or file"
        )
        yield unknown(plugin.ref, FIELD, sentence)
    if not plugin.sources:
        return  # no proxy has to be looked at
    clients = enforcing_proxies(view, plugin)
    shared = is_mesh_wide(view, plugin)
    for source in plugin.sources:
        backends = view.address_backends(source.host, plugin.ref.namespace, source.port)
        if not backends:
            sentence = (
                f"nothing answers at {source.host} port {source.port}; add the Service, or correct the URL"
            )
            yield unknown(plugin.ref, FIELD, sentence)
        for client in clients:
            for backend in backends:
                yield _flow(plugin, client, backend, shared=shared)


def _flow(plugin: WasmPlugin, client: Workload, backend: Backend, *, shared: bool) -> RequiredFlow:
    is_pods = isinstance(backend.peer, PodsPeer)
    passes = ", and requests pass without it" if plugin.is_open else ""
    return RequiredFlow(
        kind=FlowKind.WORKLOAD_TO_WORKLOAD if is_pods else FlowKind.WORKLOAD_TO_EXTERNAL,
        object=plugin.ref,
        source=PodsPeer(client),
        destination=backend.peer,
        protocol=backend.protocol,
        port=backend.port,
        reason=f"the agent of its proxy fetches the module of {plugin.ref} there{passes}",
        shared=shared and is_pods,
        field=FIELD,
        via=Via(backend.service, backend.choosers),
        dispensable=plugin.is_open,
    )


RULE = Rule(
    name="wasm-plugin",
    kind=FlowKind.WORKLOAD_TO_EXTERNAL,
    subjects=(WasmPlugin,),
    sources=(
        "https://istio.io/latest/docs/reference/config/proxy_extensions/wasm-plugin/ (Istio 1.28)",
        "istio/istio pkg/wasm/cache.go and imagefetcher.go (Istio 1.31)",
        "google/go-containerregistry pkg/name/repository.go (0.21): which registry an image names",
    ),
    outcomes=outcomes,
)

"""Finds out of which pods the API server calls webhooks, as policies see it.

Where the control plane lies outside of the cluster's network, a tunnel carries its calls, and they come out
of the pods at the end of it: an ipBlock of the API server does not match them."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from istio_netpol.istio.view.stand_ins import StandIns
from istio_netpol.model.flows import API_SERVER, Peer, PodsPeer
from istio_netpol.model.labels import Selector
from istio_netpol.model.settings import CallerSettings, Settings
from istio_netpol.model.workloads import Workload
from istio_netpol.platforms.environments import WEBHOOK_CALLERS
from istio_netpol.state.reader import Reader, question


class WebhookCallers:
    """Finds the callers of webhooks, by one reader."""

    def __init__(self, reader: Reader, settings: Settings, stand_ins: StandIns) -> None:
        self.reader = reader
        self._told = settings.api_server.callers
        self._stand_ins = stand_ins
        reader.take(self)

    @question
    def all(self) -> tuple[Peer, ...]:
        """The pods that settings name; otherwise those of a platform that are there; otherwise somebody at an
        unknown address, who may come out of pods of which sources contradict each other."""
        if self._told:
            pods = [pod for caller in self._told for pod in self._of_settings(caller)]
        else:
            pods = list(self._of_platforms(is_disputed=False))
        found = {pod.ref.key: PodsPeer(pod) for pod in pods}
        if found:
            return tuple(found[key] for key in sorted(found))
        disputed = () if self._told else tuple(self._of_platforms(is_disputed=True))
        return (replace(API_SERVER, pods=disputed),)

    def _of_platforms(self, *, is_disputed: bool) -> Iterator[Workload]:
        """The pods count only in kube-system, since elsewhere anybody may label pods so. They count even
        where the input says nothing of the namespace."""
        for caller in WEBHOOK_CALLERS:
            if caller.is_disputed is not is_disputed:
                continue
            namespace = self.reader.namespace(caller.namespace)
            is_marked = caller.namespace_labels.items() <= namespace.labels.items()
            if is_marked or not namespace.declared:
                for pods in self.reader.pods(caller.namespace, Selector.of(caller.pod_labels)):
                    if not pods.host_network:
                        yield pods

    def _of_settings(self, caller: CallerSettings) -> tuple[Workload, ...]:
        """The pods that are meant; a stand-in where the input lacks them and their namespace is named."""
        selector, wanted = Selector.of(caller.pod_labels), caller.namespace_labels.items()
        labelled = self.reader.namespaces_labelled(next(iter(caller.namespace_labels), ""))
        found = tuple(
            pods
            for place in ((caller.namespace,) if caller.namespace else labelled)
            if wanted <= self.reader.namespace(place).labels.items()
            for pods in self.reader.pods(place, selector)
        )
        if found or not caller.namespace:
            return found
        labels = tuple(sorted(caller.pod_labels.items()))
        return (self._stand_ins.caller(labels, caller.namespace).workload,)

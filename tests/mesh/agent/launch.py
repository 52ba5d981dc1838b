"""How a container of a Pod is started: what it runs, as whom, and what it sees of node and volumes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mesh.agent.container import Command, Container, identity_of
from tests.mesh.agent.environment import environment, expand
from tests.mesh.agent.network import Addresses, Network
from tests.mesh.agent.root import Mount, set_up_commands
from tests.mesh.agent.volumes import Volumes
from tests.mesh.images import Image
from tests.mesh.node_api import Api, Manifest


@dataclass(frozen=True, slots=True)
class Node:
    """What all pods of the node share: files are in `folder`, and `etc` is what their /etc begins with."""

    api: Api
    addresses: Addresses
    folder: Path
    logs: Path
    etc: Path


@dataclass(frozen=True, slots=True)
class Launch:
    """Starts containers of one pod."""

    node: Node
    pod: Manifest
    network: Network
    volumes: Volumes

    def container(
        self, spec: Mapping[str, Any], image: Image, ended: Callable[[Container, int], None]
    ) -> Container:
        """Starts a container; `ended` hears of its end. Raises NotConfiguredError or ValueError if its spec
        can't be had."""
        metadata = self.pod["metadata"]
        folder = self.node.folder / metadata["uid"] / spec["name"]
        log = self.node.logs / f"{metadata['namespace']}.{metadata['name']}" / f"{spec['name']}.log"
        command = self._command(spec, image)
        mounts = set_up_commands(
            folder,
            self.node.etc,
            self._mounts(spec, image),
            self.network.resolver,
            f"127.0.0.1 localhost\n{self.network.address} {metadata['name']}\n",
            read_only=bool(spec.get("securityContext", {}).get("readOnlyRootFilesystem")),
        )
        run = Container(spec["name"], folder, log, self.network.entry, command, ended)
        run.start(mounts, metadata["name"])
        return run

    def _command(self, spec: Mapping[str, Any], image: Image) -> Command:
        variables = environment(self.pod, spec, image.environment, self._read)
        argv = [*(spec.get("command") or image.entrypoint), *spec.get("args", ())]
        expanded = tuple(expand(word, variables) for word in argv)
        identity = identity_of(self.pod, spec, image)
        return Command(identity, expanded, variables, spec.get("workingDir", "/"))

    def _read(self, kind: str, name: str) -> Manifest | None:
        answer = self.node.api.get(f"/api/v1/namespaces/{self.pod['metadata']['namespace']}/{kind}/{name}")
        return answer.object if answer.worked else None

    def _mounts(self, spec: Mapping[str, Any], image: Image) -> list[Mount]:
        """The image's files and the volumes; only empty ones may be written to."""
        mounts = [Mount(path, target, writable=False) for target, path in image.files.items()]
        empty = {volume["name"] for volume in self.pod["spec"].get("volumes", ()) if "emptyDir" in volume}
        for mount in spec.get("volumeMounts", ()):
            writable = mount["name"] in empty and not mount.get("readOnly")
            mounts.append(Mount(self.volumes.source(mount), mount["mountPath"], writable))
        return mounts

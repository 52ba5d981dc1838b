"""A pod's volumes: folders on the node, filled from the API and kept up to date."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.mesh.agent.environment import data, field, resource
from tests.mesh.node_api import Api, Manifest

MODE = 0o644
DATA = "..data"
"""A link to the folder that holds the present content. It is replaced at once, so that programs that watch
it, as Istio's do, see all files change together: the kubelet's own layout."""


class NotMountedError(Exception):
    """A volume can't be set up, or not yet."""


@dataclass(frozen=True, slots=True)
class Volumes:
    """The volumes of one pod, each a folder of `folder`."""

    api: Api
    folder: Path

    def set_up(self, pod: Manifest) -> None:
        """Makes all volumes and fills them. Raises NotMountedError, and can then be tried again."""
        for volume in pod["spec"].get("volumes", ()):
            target = self.folder / volume["name"]
            target.mkdir(parents=True, exist_ok=True)
            if "emptyDir" in volume:
                _give_to_group(target, pod)
            elif "hostPath" in volume:
                raise NotMountedError(f'volume "{volume["name"]}": the node agent has no hostPath')
            else:
                self._fill(pod, volume, target)

    def refresh(self, pod: Manifest) -> None:
        """Fills the volumes again that show objects or the pod's own fields; what is gone stays as it was."""
        for volume in pod["spec"].get("volumes", ()):
            if set(volume) & {"configMap", "secret", "downwardAPI"} or _without_token(volume):
                self._fill(pod, volume, self.folder / volume["name"])

    def source(self, mount: Mapping[str, Any]) -> Path:
        """What a volumeMount puts into the container; a subPath that is not there becomes a folder."""
        path = Path(self.folder, mount["name"], mount.get("subPath", ""))
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(0o777)
        return path.resolve()

    def _fill(self, pod: Manifest, volume: Mapping[str, Any], target: Path) -> None:
        try:
            files = dict(self._files(pod, volume))
        except (LookupError, OSError) as error:
            raise NotMountedError(
                f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
            ) from error
        _write(target, files)

    def _files(self, pod: Manifest, volume: Mapping[str, Any]) -> Iterator[tuple[str, tuple[bytes, int]]]:
        """Path, content and mode of each file of a volume."""
        source = {key: value for key, value in volume.items() if key != "name"}
        ((kind, settings),) = source.items()
        if kind != "projected":
            yield from self._part(pod, kind, settings, settings.get("defaultMode", MODE))
            return
        for part in settings["sources"]:
            ((kind, entry),) = part.items()
            yield from self._part(pod, kind, entry, settings.get("defaultMode", MODE))

    def _part(
        self, pod: Manifest, kind: str, source: Mapping[str, Any], mode: int
    ) -> Iterator[tuple[str, tuple[bytes, int]]]:
        if kind == "serviceAccountToken":
            yield source["path"], (self._token(pod, source).encode(), mode)
        elif kind == "downwardAPI":
            for item in source.get("items", ()):
                yield item["path"], (_downward(pod, item).encode(), item.get("mode", mode))
        elif kind in ("configMap", "secret"):
            yield from self._entries(pod, f"{kind.lower()}s", source, mode)
        else:
            raise LookupError(f"the node agent does not know {kind}")

    def _entries(
        self, pod: Manifest, kind: str, source: Mapping[str, Any], mode: int
    ) -> Iterator[tuple[str, tuple[bytes, int]]]:
        """The entries of a ConfigMap or Secret, all of them or those that `items` names."""
        name = source.get("name") or source["secretName"]
        namespace = pod["metadata"]["namespace"]
        answer = self.api.get(f"/api/v1/namespaces/{namespace}/{kind}/{name}")
        if answer.status == 404 and source.get("optional"):
            return
        if not answer.worked:
            raise LookupError(answer.message)
        entries = data(kind, answer.object)
        chosen = source.get("items") or [{"key": key, "path": key} for key in entries]
        for item in chosen:
            if item["key"] in entries:
                yield item["path"], (entries[item["key"]], item.get("mode", mode))
            elif not source.get("optional"):
                raise LookupError(f"references non-existent config key: {item['key']}")

    def _token(self, pod: Manifest, source: Mapping[str, Any]) -> str:
        """A real token of the pod's service account, bound to the pod."""
        metadata = pod["metadata"]
        account = pod["spec"].get("serviceAccountName", "default")
        reference = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        request: dict[str, Any] = {
            "expirationSeconds": source.get("expirationSeconds", 3600),
            "boundObjectRef": reference,
        }
        if "audience" in source:
            request["audiences"] = [source["audience"]]
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{quote(account)}/token"
        answer = self.api.request("POST", path, {"spec": request})
        if not answer.worked:
            raise LookupError(f"failed to fetch token: {answer.message}")
        return str(answer.object["status"]["token"])


def shows(pod: Manifest, kind: str, name: str) -> bool:
    """Whether a volume of the pod has the content of a ConfigMap or Secret."""
    key = {"configmaps": "configMap", "secrets": "secret"}[kind]
    for volume in pod["spec"].get("volumes", ()):
        for part in (volume, *volume.get("projected", {}).get("sources", ())):
            if key in part and name in (part[key].get("name"), part[key].get("secretName")):
                return True
    return False


def _without_token(volume: Mapping[str, Any]) -> bool:
    """Whether it is projected from objects only: a refresh asks for no new token."""
    sources = volume.get("projected", {}).get("sources", ())
    return bool(sources) and not any("serviceAccountToken" in source for source in sources)


def _downward(pod: Manifest, item: Mapping[str, Any]) -> str:
    if "fieldRef" in item:
        return field(pod, item["fieldRef"]["fieldPath"])
    return resource(item["resourceFieldRef"])


def _give_to_group(target: Path, pod: Manifest) -> None:
    """Lets every user of the pod write to an empty folder; new files belong to the pod's group."""
    group = pod["spec"].get("securityContext", {}).get("fsGroup")
    if group is not None:
        os.chown(target, -1, group)
    target.chmod(0o777 if group is None else 0o2777)


def _write(target: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """Puts files into a folder, all at once. Links lead to them from where the container expects them."""
    old = target / os.readlink(target / DATA) if (target / DATA).is_symlink() else None
    number = int(old.name.removeprefix("..")) + 1 if old else 1
    new = target / f"..{number}"
    for path, (content, mode) in files.items():
        file = new / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode)
    new.mkdir(exist_ok=True)
    link = target / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(new.name)
    link.rename(target / DATA)
    visible = {path.split("/")[0] for path in files}
    for name in visible:
        if not (target / name).is_symlink():
            (target / name).symlink_to(f"{DATA}/{name}")
    for entry in target.iterdir():
        if not entry.name.startswith("..") and entry.name not in visible:
            entry.unlink()
    if old:
        shutil.rmtree(old)

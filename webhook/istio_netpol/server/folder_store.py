"""Generated policies as files beside the manifests that need them."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from istio_netpol.analysis.remedies import MANAGED_BY, OWNER
from istio_netpol.manifests.encode import to_yaml
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.interfaces import StoreResult
from istio_netpol.model.policies import NetworkPolicy

GENERATED = "istio-netpol-generated"
"""The folder within the watched one."""

HEADER = (
    "# Written by istio-netpol. Make changes in a copy of another name: this file may be written again.\n"
)
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class FolderStore:
    """Implements `PolicyStore`: one file a policy, each complete or absent."""

    def __init__(self, folder: Path, subfolder: str = GENERATED) -> None:
        self._folder = folder / subfolder

    def write(self, policies: Sequence[NetworkPolicy]) -> tuple[StoreResult, ...]:
        """Stores each policy, never over a file that is not ours."""
        results = []
        for policy in policies:
            try:
                refused = self._store(policy)
            except OSError as error:
                refused = f"{error.filename or self._folder}: {error.strerror or error}"
            results.append(StoreResult(policy, not refused, refused))
        return tuple(results)

    def _store(self, policy: NetworkPolicy) -> str:
        """Why the policy was not stored; empty where it was."""
        if not _NAMESPACE.fullmatch(policy.namespace) or not _NAME.fullmatch(policy.name):
            return f"{policy.key!r} is no name that the API server would accept"
        self._folder.mkdir(exist_ok=True)
        target = self._folder / f"{policy.namespace}--{policy.name}.yaml"
        content = (HEADER + to_yaml([policy])).encode()
        if target.is_symlink():
            return f"{target.name} is a link that istio-netpol did not make"
        try:
            present = target.read_bytes()
        except FileNotFoundError:
            return self._place(target, content, is_new=True)
        if present == content:
            return ""
        if not _is_ours(present, policy):
            return f"{target.name} is there already and was not written by istio-netpol"
        return self._place(target, content, is_new=False)

    def _place(self, target: Path, content: bytes, *, is_new: bool) -> str:
        """Puts a complete file in its place; a new one fails if somebody else was faster."""
        descriptor, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if is_new:
                try:
                    os.link(name, target)
                except FileExistsError:
                    same = target.read_bytes() == content
                    return "" if same else f"{target.name} was written by somebody else just now"
            else:
                os.replace(name, target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        return ""


def _is_ours(content: bytes, policy: NetworkPolicy) -> bool:
    """Whether a file holds exactly the policy of that name, with our label."""
    objects = load(read_documents(content, ""), policy.namespace).objects
    return (
        len(objects) == 1
        and isinstance(objects[0], NetworkPolicy)
        and objects[0].key == policy.key
        and objects[0].labels.get(MANAGED_BY) == OWNER
    )

"""Generated policies as files beside the manifests that need them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

import structlog

from istio_netpol.manifests.encode import encode_spec, to_yaml
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.failures import Failure
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.model.policy_store import StoreResult
from istio_netpol.remedies.names import is_named_after_content
from istio_netpol.remedies.quota import is_generated

GENERATED = "istio-netpol-generated"
"""The folder within the watched one."""

HEADER = (
    "# Written by istio-netpol. Make changes in a copy of another name: this file may be written again.\n"
)
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_IS_A_LINK = (errno.ELOOP, errno.ENOTDIR)
"""What opening with O_NOFOLLOW fails with, for a file and for a folder (open(2))."""


class FolderStore:
    """Implements `PolicyStore`: one file a policy, each complete or absent.

    Every path below the watched folder is opened without following links, and everything else goes by the
    opened folder, so somebody who may put links into it can't lead a write elsewhere. A file of ours that
    does something else than a policy of its name is left as it is. With `restores` it is written again if its
    name is the digest of what is written.
    """

    def __init__(self, folder: Path, subfolder: str = GENERATED, *, restores: bool = False) -> None:
        self._folder = folder / subfolder
        self._restores = restores

    def write(self, policies: Sequence[NetworkPolicy], asker: str = "") -> tuple[StoreResult, ...]:
        """Stores each policy, never over a file that is not ours."""
        results = []
        for policy in policies:
            try:
                refused = self._store(policy)
            except OSError as error:
                refused = f"{self._folder}: {error.strerror or error}"
            except MemoryError:
                raise
            except Exception as error:  # a failure of one policy must not stop the others
                structlog.get_logger("source").exception("a policy was not written", object=str(policy.ref))
                refused = str(Failure.of("policy store", error))
            results.append(StoreResult(policy, not refused, refused))
        return tuple(results)

    def _store(self, policy: NetworkPolicy) -> str:
        """Why the policy was not stored; empty where it was."""
        if not _NAMESPACE.fullmatch(policy.namespace) or not _NAME.fullmatch(policy.name):
            return f"{policy.key!r} is not a name that the API server would accept"
        with contextlib.suppress(FileExistsError):
            self._folder.mkdir()
        try:
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno in _IS_A_LINK:
                return f"{self._folder} is a link or a file, not the folder that istio-netpol makes"
            raise
        try:
            return _put(folder, policy, self._restores)
        finally:
            os.close(folder)


def _put(folder: int, policy: NetworkPolicy, restores: bool) -> str:
    """Writes the file of a policy into an opened folder; returns why it was not written, or nothing."""
    name = f"{policy.namespace}--{policy.name}.yaml"
    content = (HEADER + to_yaml([policy])).encode()
    try:
        present = _content(folder, name)
    except FileNotFoundError:
        return _place(folder, name, content, is_new=True)
    except OSError as error:
        if error.errno in _IS_A_LINK:
            return f"{name} is a link that istio-netpol did not make"
        raise
    if present == content:
        return ""
    ours = None if present is None else _ours(present, policy)
    if ours is None:
        return f"{name} is there already and was not written by istio-netpol"
    is_changed = encode_spec(ours) != encode_spec(policy)
    if is_changed and not (restores and is_named_after_content(policy)):
        return f"{name} is there already and does something else than its name says; delete it"
    return _place(folder, name, content, is_new=False)


def _content(folder: int, name: str) -> bytes | None:
    """What a file holds; None where it is not a regular file. Reading does not wait for a pipe."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _place(folder: int, name: str, content: bytes, *, is_new: bool) -> str:
    """Puts a complete file in its place. A new file fails if somebody else was faster."""
    half = f".{secrets.token_hex(8)}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(half, flags, 0o644, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if not is_new:
            os.replace(half, name, src_dir_fd=folder, dst_dir_fd=folder)
            return ""
        try:
            os.link(half, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError:
            same = _content(folder, name) == content
            return "" if same else f"{name} was written by somebody else just now"
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(half, dir_fd=folder)
    return ""


def _ours(content: bytes, policy: NetworkPolicy) -> NetworkPolicy | None:
    """What a file holds, if it is exactly the policy of that name, with our label."""
    objects = load(read_documents(content, ""), policy.namespace).objects
    found = objects[0] if len(objects) == 1 else None
    if isinstance(found, NetworkPolicy) and found.key == policy.key and is_generated(found):
        return found
    return None

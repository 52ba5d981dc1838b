"""Finds the cluster and the namespace of a context of a kubeconfig, or of its current one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from istio_netpol.errors import SettingsError
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.references import DEFAULT_NAMESPACE

VARIABLE = "KUBECONFIG"
OTHER_FILE = f"check --kubeconfig and {VARIABLE}"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its own namespace and token."""


class KubeContext(Struct, frozen=True):
    """A context by name, and the namespace that commands are about there. The name is empty in a pod without
    a kubeconfig, which talks to its own cluster."""

    name: str
    namespace: str


def has_cluster(kubeconfig: str = "") -> bool:
    """Whether there is a kubeconfig, or a pod's own service account."""
    return any(map(_may_be_there, _files(kubeconfig))) or _is_pod()


def find_context(kubeconfig: str = "", name: str = "") -> KubeContext:
    """The context of that name, or the current one. Files are looked for and joined as kubectl does it: what
    the first of them says counts. Raises SettingsError."""
    files = [path for path in _files(kubeconfig) if kubeconfig or _may_be_there(path)]
    if not files and not name and _is_pod():
        return KubeContext("", _namespace_of_pod())
    contents = [_content(path) for path in files]
    where = ", ".join(map(str, _files(kubeconfig))) or "~/.kube/config"
    if not files:
        raise SettingsError(f"there is no kubeconfig: {where} does not exist; name one with --kubeconfig")
    contexts = {key: context for content in reversed(contents) for key, context in _contexts(content)}
    wanted = name or next(filter(None, (_text(content.get("current-context")) for content in contents)), "")
    known = ", ".join(sorted(contexts))
    if not known:
        raise SettingsError(f"{where}: has no contexts, so that it names no cluster; {OTHER_FILE}")
    if not wanted:
        raise SettingsError(f"{where}: has no current context; name one with --context, of {known}")
    if wanted not in contexts:
        close = get_close_matches(wanted, contexts, n=1)
        raise SettingsError(
            f"{where}: has no context {wanted}; "
            + (f"did you mean {close[0]}?" if close else f"its contexts: {known}")
        )
    return KubeContext(wanted, _text(contexts[wanted].get("namespace")) or DEFAULT_NAMESPACE)


def _files(kubeconfig: str) -> Sequence[Path]:
    if kubeconfig:
        return [Path(kubeconfig)]
    named = [Path(part) for part in os.environ.get(VARIABLE, "").split(os.pathsep) if part]
    home = home_file()
    return named or ([] if home is None else [home])


def home_file() -> Path | None:
    """The kubeconfig in the user's home; None where the user has none, as in a container."""
    try:
        return Path.home() / ".kube" / "config"
    except RuntimeError:
        return None


def _may_be_there(path: Path) -> bool:
    """Whether there is a file, or a folder that does not let us look. Reading it then says so, as kubectl
    does; a pod has its own cluster all the same."""
    try:
        return path.is_file()
    except OSError:
        return not _is_pod()


def _is_pod() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and os.path.isfile(SERVICE_ACCOUNT / "token")


def _namespace_of_pod() -> str:
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip() or DEFAULT_NAMESPACE
    except OSError:
        return DEFAULT_NAMESPACE


def _content(path: Path) -> JsonObject:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path}: the kubeconfig can't be read: {error.strerror or error}; {OTHER_FILE}"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise SettingsError(f"{path}: is not a kubeconfig: it is not valid YAML; {OTHER_FILE}") from None
    if content is not None and not isinstance(content, dict):
        raise SettingsError(f"{path}: is not a kubeconfig: it is not a mapping; {OTHER_FILE}")
    return content or {}


def _contexts(content: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    entries = content.get("contexts")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            context = entry.get("context")
            yield entry["name"], context if isinstance(context, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

"""What is said of an input besides its findings: what was left out of it, and how it was understood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from istio_netpol.manifests.load import Loaded, RemovedApi
from istio_netpol.manifests.raw_objects import OtherDocument
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.references import ObjectRef
from istio_netpol.report.places import place, plural

_SHOWN = 3
"""How many of several things are named."""


def remarks_on(loaded: Loaded, *, names_namespace: bool) -> tuple[str, ...]:
    """All remarks on an input; `names_namespace` says that whoever reads it chose the namespace of objects
    that name none."""
    assumed = () if names_namespace else unnamed_namespaces(loaded.placed)
    return (
        *other_documents([loaded.others]),
        *(str(assumption) for assumption in assumed),
        *map(outdated, loaded.outdated),
    )


def other_documents(parts: Iterable[Sequence[OtherDocument]]) -> Iterator[str]:
    """One remark for all documents that are not Kubernetes objects, if there are any."""
    found = [_place(document) for part in parts for document in part]
    if found:
        are = "is not a Kubernetes object" if len(found) == 1 else "are not Kubernetes objects"
        subject = f"{plural(len(found), 'document')} without apiVersion and kind"
        yield f"{subject} {are} and left out: {in_short(found)}"


def _place(document: OtherDocument) -> str:
    return f"{document.file}:{document.line}" if document.line else document.file


def unnamed_namespaces(placed: Sequence[ObjectRef]) -> tuple[Assumption, ...]:
    """One assumption for all objects that name no namespace, if there are any."""
    if not placed:
        return ()
    names = [f"{ref.kind} {ref.name}" + (f" ({place(ref)})" if ref.file else "") for ref in placed]
    subject = "1 object names" if len(placed) == 1 else f"{len(placed)} objects name"
    why = f"{subject} no namespace, {in_short(names)}"
    judged = "it is judged" if len(placed) == 1 else "they are judged"
    where = f"namespace {placed[0].namespace}, in which {judged}; -n NAME names another"
    return (Assumption(why, where),)


def outdated(found: RemovedApi) -> str:
    """The remark on an object whose API version is no longer served."""
    ref, (release, instead) = found.ref, found.removed
    judged = f"it is judged as {instead} would be" if found.is_read else "it is not judged"
    refused = f"{ref.api_version} is not served since {release}, so that the object is refused"
    return f"{ref}: {refused}, and {judged}; use {instead}"


def in_short(names: Sequence[str]) -> str:
    """The first few of the names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

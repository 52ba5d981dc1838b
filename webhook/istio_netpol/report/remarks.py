"""What is said besides findings: what of them does not count, of which workloads nothing says what they
need, what of an input was left out, and how it was understood."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from istio_netpol.analysis.results import Compared, Report, Undeclared
from istio_netpol.manifests.load import Loaded, RemovedApi
from istio_netpol.manifests.raw_objects import OtherDocument
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.references import ObjectRef
from istio_netpol.report.places import place, plural

UPDATE = "--update-baseline"


def not_counted_sections(report: Report) -> Iterator[tuple[str, list[str]]]:
    """Each part under its title, without those that are empty."""
    if report.accepted:
        yield "Accepted", [str(accepted) for accepted in report.accepted]
    if report.left_out:
        yield "Not counted", [str(left_out) for left_out in report.left_out]
    if report.baseline:
        yield "Baseline", list(_of_baseline(report.baseline))


def not_counted_sentences(report: Report) -> list[str]:
    """A sentence for each finding that does not count: `accepted: broad-policy of NetworkPolicy shop/x until
    …`."""
    return [
        f"{title.lower()}: {entry}" for title, entries in not_counted_sections(report) for entry in entries
    ]


def not_counted_figures(report: Report) -> str:
    """`; 2 accepted, 14 not counted, 120 known from the baseline`, for the closing line."""
    left_out = sum(part.findings for part in report.left_out)
    told = [
        f"{count} {what}"
        for count, what in (
            (len(report.accepted), "accepted"),
            (left_out, "not counted"),
            (report.baseline.known if report.baseline else 0, "known from the baseline"),
        )
        if count
    ]
    return f"; {', '.join(told)}" if told else ""


def _of_baseline(compared: Compared) -> Iterator[str]:
    known = (
        f"{plural(compared.known, 'finding')} of this check {'is' if compared.known == 1 else 'are'} known"
    )
    yield f"{known} from {compared.file}"
    if compared.gone:
        count = (
            plural(len(compared.gone), "entry")
            if len(compared.gone) == 1
            else f"{len(compared.gone)} entries"
        )
        yield f"{count} of it {'has' if len(compared.gone) == 1 else 'have'} gone ({UPDATE} takes them out):"
        yield from (f"  {gone}" for gone in compared.gone)


UNDECLARED_TITLE = "Nothing says what these workloads need beyond istiod and DNS, so ask their owners:"
MOST_NAMES = 8
"""Names on a line; the JSON has all."""

MOST_LINES = 60


def undeclared_lines(undeclared: Sequence[Undeclared]) -> Iterator[str]:
    """`shop: Deployment db, Job migrate`; those for which somebody wrote a policy have a line of their
    own."""
    groups = [
        (namespace, has_policies, list(members))
        for (namespace, has_policies), members in groupby(
            sorted(undeclared, key=lambda workload: (workload.ref.namespace, bool(workload.policies))),
            key=lambda workload: (workload.ref.namespace, bool(workload.policies)),
        )
    ]
    for namespace, has_policies, members in groups[:MOST_LINES]:
        whose = f"{namespace}, with policies of their own" if has_policies else namespace
        yield f"{whose}: {_undeclared_names(members)}"
    left = sum(len(members) for _, _, members in groups[MOST_LINES:])
    if left:
        yield f"and {left} more, which -f json lists"


def undeclared_summary(undeclared: Sequence[Undeclared], listed_by: str = "-f text and -f json list") -> str:
    """All of it in one sentence, for documents that have no place for it, with what has one."""
    namespaces = len({workload.ref.namespace for workload in undeclared})
    workloads, where = plural(len(undeclared), "workload"), plural(namespaces, "namespace")
    needs = "needs" if len(undeclared) == 1 else "need"
    return (
        f"nothing says what {workloads} in {where} {needs} beyond istiod and DNS, so ask their owners; "
        f"{listed_by} them"
    )


def _undeclared_names(members: Sequence[Undeclared]) -> str:
    names = [f"{workload.ref.kind} {workload.ref.name}" for workload in members[:MOST_NAMES]]
    more = len(members) - len(names)
    return ", ".join([*names, f"and {more} more"] if more else names)


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
        yield f"{subject} {are} and left out: {_in_short(found)}"


def _place(document: OtherDocument) -> str:
    return f"{document.file}:{document.line}" if document.line else document.file


def unnamed_namespaces(placed: Sequence[ObjectRef]) -> tuple[Assumption, ...]:
    """One assumption for all objects that name no namespace, if there are any."""
    if not placed:
        return ()
    names = [f"{ref.kind} {ref.name}" + (f" ({place(ref)})" if ref.file else "") for ref in placed]
    subject = "1 object names" if len(placed) == 1 else f"{len(placed)} objects name"
    why = f"{subject} no namespace, {_in_short(names)}"
    judged = "it is judged" if len(placed) == 1 else "they are judged"
    where = f"namespace {placed[0].namespace}, in which {judged}; -n NAME names another"
    return (Assumption(why, where),)


def outdated(found: RemovedApi) -> str:
    """The remark on an object whose API version is no longer served."""
    ref, (release, instead) = found.ref, found.removed
    judged = f"it is judged as {instead} would be" if found.is_read else "it is not judged"
    refused = f"{ref.api_version} is not served since {release}, so that the object is refused"
    return f"{ref}: {refused}, and {judged}; use {instead}"


def _in_short(names: Sequence[str]) -> str:
    """The first few of the names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")

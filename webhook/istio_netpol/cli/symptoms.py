"""`istio-netpol explain --symptom`: from what was seen to the flow that is cut."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from istio_netpol.cli.options import Decorator, InputArguments, require_format
from istio_netpol.cli.program import FINE, FOUND
from istio_netpol.model.settings import Settings
from istio_netpol.report.table import document

if TYPE_CHECKING:
    from istio_netpol.analysis.symptom_causes.causes import NamedEnds, SymptomAnswer
    from istio_netpol.cli.inputs import Input
    from istio_netpol.symptoms.paste import PasteReading

STANDARD_INPUT = "-"
CHUNK = 65_536
PAGE = "docs/symptoms.md"


def symptom_option() -> Decorator:
    """`--symptom TEXT|-`."""
    return click.option(
        "--symptom",
        metavar="TEXT|-",
        help="What was seen, or - for a log on standard input: of a proxy, istiod, curl, kubectl. "
        "Says which connection can be cut; without PATH and cluster nothing is judged.",
    )


def answer_symptom(
    ctx: click.Context,
    symptom: str,
    arguments: InputArguments,
    named: NamedEnds,
    *,
    format_name: str,
    assume_deny_all: bool,
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
) -> None:
    """Prints what can have caused what was seen. Raises InputError where nothing of it is known."""
    from istio_netpol.analysis.readiness.deny_all import assume_deny_all as with_deny_all
    from istio_netpol.analysis.symptom_causes.causes import SymptomOutcome, answers, answers_without_input
    from istio_netpol.cli.settings import resolver
    from istio_netpol.cli.streams import write
    from istio_netpol.cli.terminal import palette
    from istio_netpol.errors import InputError, Problem

    require_format("explain --symptom", format_name)
    if symptom == STANDARD_INPUT and STANDARD_INPUT in arguments.paths:
        raise click.UsageError(
            "standard input is one thing: name it as PATH or as --symptom, not as both", ctx
        )
    reading = _read(symptom)
    settings, inputs = _inputs(arguments, addresses)
    found: list[tuple[str, tuple[SymptomAnswer, ...]]] = []
    problems: list[Problem] = []
    for given in inputs:
        given.tell()
        snapshot = with_deny_all(given.snapshot) if assume_deny_all else given.snapshot
        try:
            found.append(
                (given.name, answers(reading.seen, snapshot, settings, resolver(offline, settings), named))
            )
        except InputError as error:
            problems += error.problems
    if not inputs:
        found.append(("", answers_without_input(reading.seen)))
    if not found:
        raise InputError(dict.fromkeys(problems))
    write([document("explain --symptom", format_name, found, reading=reading, palette=palette())])
    is_denied = any(answer.outcome is SymptomOutcome.DENIED for _, each in found for answer in each)
    ctx.exit(FOUND if is_denied else FINE)


def _read(symptom: str) -> PasteReading:
    """What is seen. Raises InputError where none of it is known."""
    from istio_netpol.errors import InputError, Problem
    from istio_netpol.report.places import STANDARD_INPUT as FROM_INPUT
    from istio_netpol.symptoms.paste import read_log, read_text

    is_log = symptom == STANDARD_INPUT
    reading = read_log(_chunks()) if is_log else read_text(symptom)
    if reading.seen:
        return reading
    place = FROM_INPUT if is_log else "--symptom"
    where = "this line" if reading.lines == 1 else f"these {reading.lines} lines"
    cause = f"nothing in {where} is a known symptom"
    remedy = (
        f"give the message as curl, a log or kubectl prints it ({PAGE} lists those that are known), or ask "
        "what a pod lacks with --workload, or of one connection with --from and --to"
    )
    if not reading.lines:
        cause, remedy = "holds nothing", "give a log or a text"
    elif not reading.is_text:
        cause, remedy = "is not text", "give a log as text; unpack it if it is packed"
    elif not is_log and _is_file(symptom):
        cause, remedy = "is the name of a file", f"to read it: --symptom - < {symptom}"
    raise InputError([Problem(place, None, None, None, None, cause, remedy)])


def _chunks() -> Iterator[bytes]:
    stream = sys.stdin.buffer
    while chunk := stream.read(CHUNK):
        yield chunk


def _is_file(text: str) -> bool:
    try:
        return len(text) < os.pathconf("/", "PC_PATH_MAX") and Path(text).is_file()
    except (OSError, ValueError):
        return False


def _inputs(
    arguments: InputArguments, addresses: Sequence[tuple[str, tuple[str, ...]]]
) -> tuple[Settings, tuple[Input, ...]]:
    """What to judge by: nothing where neither PATH nor cluster is named and the current context has none that
    answers."""
    from istio_netpol.cli.opened_input import open_input
    from istio_netpol.cli.settings import settings_and_file
    from istio_netpol.cli.streams import tell
    from istio_netpol.errors import ApiError
    from istio_netpol.kube.kubeconfig import has_cluster

    is_named = bool(arguments.paths) or arguments.names_cluster
    if not is_named and not has_cluster():
        tell("note: there is neither PATH nor cluster, so no flow is judged; name a PATH, or --context")
        return settings_and_file(arguments, addresses)[0], ()
    opened = open_input(arguments, addresses, is_asked=True, keeps_input=True)
    try:
        return opened.settings, opened.read()
    except ApiError as error:
        if is_named:
            raise
        tell(f"note: the cluster can't be read, so no flow is judged: {error}")
        return opened.settings, ()

"""`istio-netpol explain --symptom`: from what was seen to the flow that is cut."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from istio_netpol.analysis.symptom_causes.causes import (
    NamedEnds,
    SymptomOutcome,
    answers,
    answers_without_input,
)
from istio_netpol.cli.inputs import Input, answers_of
from istio_netpol.cli.opened_input import open_input
from istio_netpol.cli.options import InputArguments, require_format
from istio_netpol.cli.settings import resolver, settings_and_file
from istio_netpol.cli.streams import tell, write
from istio_netpol.cli.terminal import palette
from istio_netpol.errors import ApiError, InputError, Problem
from istio_netpol.kube.kubeconfig import has_cluster
from istio_netpol.model.settings import Settings
from istio_netpol.report.places import STANDARD_INPUT as FROM_INPUT
from istio_netpol.report.table import document
from istio_netpol.symptoms.paste import PasteReading, read_log, read_text

STANDARD_INPUT = "-"
CHUNK = 65_536
PAGE = "docs/symptoms.md"


def answer_symptom(
    symptom: str,
    arguments: InputArguments,
    named: NamedEnds,
    *,
    format_name: str,
    assume_deny_all: bool,
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
) -> bool:
    """Prints what can have caused what was seen, and says whether policies deny any of it. Raises InputError
    where nothing of it is known."""
    require_format("explain --symptom", format_name)
    if symptom == STANDARD_INPUT and STANDARD_INPUT in arguments.paths:
        raise click.UsageError(
            "standard input is one thing: name it as PATH or as --symptom, not as both",
            click.get_current_context(),
        )
    reading = _read(symptom)
    settings, inputs = _inputs(arguments, addresses)
    if inputs:
        hosts = resolver(offline, settings)
        found = answers_of(
            inputs,
            lambda snapshot: answers(reading.seen, snapshot, settings, hosts, named),
            assume_deny_all=assume_deny_all,
        )
    else:
        found = [("", answers_without_input(reading.seen))]
    write([document("explain --symptom", format_name, found, reading=reading, palette=palette())])
    return any(answer.outcome is SymptomOutcome.DENIED for _, each in found for answer in each)


def _read(symptom: str) -> PasteReading:
    """What is seen. Raises InputError where none of it is known."""
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
    raise InputError([Problem.of(place, cause, remedy)])


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

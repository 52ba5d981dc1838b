"""What the commands do, for Python programs: over files, folders, overlays and charts, and over objects.

`docs/python.md` shows how it is used.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from difflib import get_close_matches
from typing import Any, TypedDict, Unpack

import click
from msgspec.structs import replace

from istio_netpol.analysis.explain.connection import explain as explain_connection
from istio_netpol.analysis.results import Explanation, Report
from istio_netpol.bundle.sources import GIVEN_OBJECTS
from istio_netpol.cli.inputs import Input, ReadOptions, read_inputs
from istio_netpol.cli.one_input import checked, missing_policies
from istio_netpol.cli.parameter_types import DestinationParameter, HostAddresses
from istio_netpol.cli.settings import (
    helm_from_environment,
    kustomize_from_environment,
    read_settings,
    resolver,
    with_addresses,
)
from istio_netpol.errors import InputError, Problem
from istio_netpol.manifests.encode import encode_policy
from istio_netpol.manifests.raw_objects import Document, Envelope, complete
from istio_netpol.model.json_values import JsonObject
from istio_netpol.model.references import NAMESPACE_REMEDY, is_namespace_name
from istio_netpol.model.resolution import Resolver
from istio_netpol.model.settings import Settings

InputSource = str | os.PathLike[str] | Mapping[str, Any]
"""A file, a folder, an overlay, a chart, or `-` for standard input; or an object or a List, as YAML and JSON
load it."""


class Options(TypedDict, total=False):
    """How inputs are read and judged."""

    settings: Settings | str | os.PathLike[str]
    """A settings file by its name, or a value; none is looked for."""

    namespace: str
    """That of objects that name none; `default` where it is left out."""

    addresses: Mapping[str, str | Sequence[str]]
    """Addresses of hosts, instead of asking DNS."""

    offline: bool
    """Ask no DNS server."""

    assume_deny_all: bool
    """Judge as if every namespace denied all traffic by default."""

    proposals: bool
    """Also write policies for pods that are only assumed."""

    exclude: str | Sequence[str]
    """A pattern or several, as in .gitignore of what to leave out of folders."""

    on_remark: Callable[[str], None]
    """Is told what was left out of the inputs, and how they were understood."""

    today: date
    """By which acceptances end; the present day where it is left out."""


def check(*inputs: InputSource, **options: Unpack[Options]) -> Report:
    """The findings, as `istio-netpol check` reports them. Raises InputError with every problem of every
    input, and SettingsError."""
    _require_usable(inputs, options)
    settings, hosts = _judged_by(options)
    today = options.get("today") or datetime.now(UTC).date()
    return Report.of_inputs(
        [
            (
                given.name,
                checked(
                    given,
                    settings,
                    hosts,
                    today,
                    assume_deny_all=options.get("assume_deny_all", False),
                    proposals=options.get("proposals", False),
                ),
            )
            for given in _read(inputs, options)
        ]
    )


def generate(*inputs: InputSource, **options: Unpack[Options]) -> tuple[JsonObject, ...]:
    """The NetworkPolicies that are missing, as manifests in the order in which they are to be applied. Raises
    InputError with every problem of every input, of which one are several overlays, and SettingsError."""
    _require_usable(inputs, options)
    settings, hosts = _judged_by(options)
    (given,) = _one(_read(inputs, options))
    missing = missing_policies(
        given,
        settings,
        hosts,
        assume_deny_all=options.get("assume_deny_all", False),
        proposals=options.get("proposals", False),
    )
    return tuple(encode_policy(policy) for policy in missing.policies)


def explain(*inputs: InputSource, source: str, destination: str, **options: Unpack[Options]) -> Explanation:
    """Whether a connection is allowed, why, and what would allow it: from `shop/cart` or an address to
    `shop/db:5432`, as --from and --to of `istio-netpol explain` name them. Raises InputError with every
    problem of every input, of which one are several overlays, and for an end that is not in it."""
    _require_usable(inputs, options)
    settings, hosts = _judged_by(options)
    try:
        wanted = DestinationParameter().convert(destination, None, None)
    except click.BadParameter as error:
        raise InputError([_problem(error.message)]) from None
    (given,) = _one(_read(inputs, options))
    snapshot = given.judged(assume_deny_all=options.get("assume_deny_all", False))
    return explain_connection(snapshot, settings, hosts, source, *wanted)


def _require_usable(inputs: Sequence[InputSource], options: Options) -> None:
    """Raises TypeError for what no type checker lets pass, so that a misspelt option changes no answer in
    silence, and InputError for a namespace that none can be called."""
    known = Options.__annotations__
    for name in sorted(options.keys() - known.keys()):
        close = get_close_matches(name, known, n=1)
        remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(known))}"
        raise TypeError(f"{name!r} is not an option; {remedy}")
    for source in inputs:
        if not isinstance(source, str | os.PathLike | Mapping):
            raise TypeError(
                f"an input is a path or an object, not {source.__class__.__name__}; several are given one by "
                "one, as in check(*objects)"
            )
    namespace = options.get("namespace", "")
    if namespace and not is_namespace_name(namespace):
        raise InputError([_problem(f"{namespace!r} is not the name of a namespace; {NAMESPACE_REMEDY}")])


def _addresses(host: str, found: str | Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """What is said of a host, as --address takes it. A single address may be just text."""
    written = found if isinstance(found, str) else ",".join(found)
    try:
        return HostAddresses().convert(f"{host}={written}", None, None)
    except click.BadParameter as error:
        raise InputError([_problem(error.message)]) from None


def _judged_by(options: Options) -> tuple[Settings, Resolver]:
    """The settings, and who is asked for hosts."""
    named = options.get("settings")
    settings = named if isinstance(named, Settings) else read_settings(os.fspath(named) if named else None)
    settings = with_addresses(
        settings, [_addresses(host, found) for host, found in options.get("addresses", {}).items()]
    )
    return settings, resolver(options.get("offline", False), settings)


def _read(inputs: Sequence[InputSource], options: Options) -> tuple[Input, ...]:
    if not inputs:
        raise InputError([_problem("there is nothing to read: name a file, a folder or an object")])
    exclude = options.get("exclude", ())
    reading = ReadOptions(
        kustomize_from_environment(),
        helm_from_environment(),
        options.get("namespace", ""),
        (exclude,) if isinstance(exclude, str) else exclude,
        remark=options.get("on_remark", lambda _: None),
        is_watched=False,
    )
    paths = [os.fspath(source) for source in inputs if not isinstance(source, Mapping)]
    objects = [found for source in inputs if isinstance(source, Mapping) for found in _documents(source)]
    return read_inputs(paths, reading, objects=objects)


def _documents(content: Mapping[str, Any]) -> Iterator[Document]:
    """An object, or the items of a List; none of them stands in a line."""
    for document in complete(Envelope(0, dict(content), is_item=True), GIVEN_OBJECTS):
        yield replace(document, line=None) if isinstance(document, Problem) else document


def _one(inputs: Sequence[Input]) -> Sequence[Input]:
    if len(inputs) > 1:
        names = ", ".join(given.name for given in inputs)
        raise InputError([_problem(f"the input holds several overlays ({names}); name one of them")])
    return inputs


def _problem(cause: str) -> Problem:
    return Problem.of("arguments", cause)

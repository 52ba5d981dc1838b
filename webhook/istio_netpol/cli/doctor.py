"""`istio-netpol doctor`: what of a cluster policies depend on, and what is wrong with it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

import click

from istio_netpol.cli.cluster_input import connect
from istio_netpol.cli.command import Command
from istio_netpol.cli.opened_input import whereabouts
from istio_netpol.cli.options import InputArguments, cluster_options, config_option, format_option
from istio_netpol.cli.program import FINE, FOUND, examples
from istio_netpol.cli.settings import settings_and_file
from istio_netpol.cli.streams import tell, write
from istio_netpol.cli.terminal import palette
from istio_netpol.doctor.examination import NOT_PROBED, TOPICS, examine
from istio_netpol.doctor.probe import IMAGE, probe
from istio_netpol.doctor.survey import Survey
from istio_netpol.doctor.webhooks import shake_hands
from istio_netpol.kube.kubeconfig import find_context
from istio_netpol.model.diagnosis import Health
from istio_netpol.report.table import document


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol doctor",
        "istio-netpol doctor --context staging -f json",
        "istio-netpol doctor --topic Webhooks --topic DNS",
        "istio-netpol doctor --dry-run-server",
        "istio-netpol doctor --probe",
        "istio-netpol doctor --probe --probe-image registry.example.com/agnhost:2.53",
    ),
)
@cluster_options("Examine the cluster of this context of the kubeconfig, instead of the current one.")
@format_option("doctor")
@click.option(
    "--topic",
    "topics",
    type=click.Choice(TOPICS, case_sensitive=False),
    metavar="TOPIC",
    multiple=True,
    help="Examine only this, such as `DNS` or `Webhooks`; may be given more than once.",
)
@click.option(
    "--dry-run-server",
    is_flag=True,
    help="Ask the API server whether it would take a default-deny in istio-system and kyma-system. "
    "Nothing is stored.",
)
@click.option(
    "--probe",
    "is_probed",
    is_flag=True,
    help="Try whether policies are enforced, by pods in a namespace of their own, which is deleted again.",
)
@click.option(
    "--probe-image",
    "image",
    metavar="IMAGE",
    default="",
    help="The image of these pods: Kubernetes' agnhost, from a registry that the cluster reaches.",
)
@config_option()
@click.pass_context
def doctor(
    ctx: click.Context,
    *,
    context: str,
    kubeconfig: str,
    format_name: str,
    topics: tuple[str, ...],
    dry_run_server: bool,
    is_probed: bool,
    image: str,
    config: str | None,
) -> None:
    """Examine the cluster that policies are written for.

    API server and DNS as pods reach them, the network plugin, istiod, injection, webhooks and their
    certificates, admission, policies and versions. It only reads, and no Secrets; --dry-run-server asks for a
    change that is not stored, --probe makes something, and deletes it again. What may not be seen is named
    with the right that it takes. docs/schemas/doctor.schema.json describes -f json.

    Exit code: 0 if all is well, 1 if something is wrong or could not be seen, 2 where there is no cluster to
    talk to or the arguments are unusable.
    """
    chosen_topics = topics or TOPICS
    arguments = InputArguments(
        all_namespaces=True, context=context, kubeconfig=kubeconfig, config=config or ""
    )
    settings, _ = settings_and_file(arguments)
    chosen = find_context(kubeconfig, context)
    connection = connect(chosen, kubeconfig)
    tell(f"examining the cluster {whereabouts(chosen)}")
    found = list(
        examine(
            Survey(connection),
            settings,
            datetime.now(UTC),
            shake_hands,
            chosen_topics,
            tries_deny=dry_run_server,
        )
    )
    if is_probed:
        with _ending_on_sigterm():
            found.append(probe(connection, tell, image or IMAGE))
    elif NOT_PROBED.topic in chosen_topics:
        found.append(NOT_PROBED)
    write([document("doctor", format_name, found, palette=palette())])
    ctx.exit(
        FOUND if any(diagnosis.health in (Health.WRONG, Health.NOT_SEEN) for diagnosis in found) else FINE
    )


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Lets SIGTERM end the block as Ctrl-C does, so that what was made is deleted then, too."""

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

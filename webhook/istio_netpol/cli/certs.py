"""`istio-netpol certs`: one look at the webhook's certificates and paths, now."""

from __future__ import annotations

import time

import click

from istio_netpol.certs.path_reconciler import PathReconciler
from istio_netpol.certs.reconciler import CertificatePlace, CertificateReconciler
from istio_netpol.cli.command import Command
from istio_netpol.cli.program import examples
from istio_netpol.kube.connection import ApiConnection


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol certs --namespace istio-netpol --secret istio-netpol-certificate "
        "--service istio-netpol-webhook --webhook-configuration istio-netpol",
    ),
)
@click.option("--namespace", metavar="NS", required=True, help="Where the Secrets and the Service are.")
@click.option(
    "--secret", metavar="NAME", required=True, help="What the webhook mounts; NAME-ca holds the CA's key."
)
@click.option("--service", metavar="NAME", required=True, help="The Service of the webhook.")
@click.option(
    "--webhook-configuration",
    "configuration",
    metavar="NAME",
    required=True,
    help="The validating and the mutating configuration whose caBundle and paths are kept.",
)
@click.option("--context", metavar="NAME", default="", help="The context of the kubeconfig to use.")
def certs(*, namespace: str, secret: str, service: str, configuration: str, context: str) -> None:
    """Do once what the controller does with the webhook's certificates and paths all the time.

    Makes what is missing, broken or due, and writes the caBundle and the secret paths of both webhook
    configurations. Prints what it wrote, never a key or a path. Running it beside the controller is safe.

    Exit code: 0 once everything is as it should be, 2 where something could not be read or written.
    """
    place = CertificatePlace(namespace, secret, service, configuration)
    connection = ApiConnection.open(context)
    certificates = CertificateReconciler(connection, place)
    paths = PathReconciler(connection, configuration)
    registered = paths.look(click.echo)
    look = certificates.look(click.echo)
    written = (*registered.written, *look.written)
    while registered.is_settling:
        time.sleep(registered.again_in)
        registered = paths.look(click.echo)
    if not written:
        click.echo("Nothing had to be written.")
    for absent in look.absent:
        click.echo(f"{absent} is not there; the controller writes its caBundle as soon as it is.", err=True)

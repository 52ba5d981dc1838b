"""`istio-netpol controller`: keeps generated policies right."""

from __future__ import annotations

from collections.abc import Sequence

import click

from istio_netpol.cli.command import Command
from istio_netpol.cli.options import config_option, resolution_options
from istio_netpol.cli.parameter_types import ListenAddress
from istio_netpol.cli.program import examples
from istio_netpol.cli.settings import read_settings, resolver
from istio_netpol.controller.run import Certificates, ControllerOptions, run


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol controller --metrics-listen 0.0.0.0:9443",
        "istio-netpol controller --certificate-secret istio-netpol-certificate "
        "--webhook-service istio-netpol-webhook --webhook-configuration istio-netpol",
        "istio-netpol controller --webhook-configuration istio-netpol",
        "istio-netpol controller --context dev --namespace istio-netpol --lease istio-netpol",
    ),
)
@click.option("--namespace", metavar="NS", default="", help="Where the lease is; that of this pod if absent.")
@click.option(
    "--lease", metavar="NAME", default="istio-netpol", show_default=True, help="The lease of the leader."
)
@click.option(
    "--metrics-listen",
    type=ListenAddress(),
    help="Where to serve /metrics, /healthz and /readyz over HTTP; nowhere if absent.",
)
@click.option(
    "--certificate-secret",
    metavar="NAME",
    default="",
    help="Keep the webhook's certificate in this Secret, its CA in NAME-ca; needs the next two.",
)
@click.option("--webhook-service", metavar="NAME", default="", help="The Service of the webhook.")
@click.option(
    "--webhook-configuration",
    metavar="NAME",
    default="",
    help="Keep the secret paths of the configurations of this name, and with a Secret their caBundle.",
)
@click.option("--context", metavar="NAME", default="", help="The context of the kubeconfig to use.")
@resolution_options()
@config_option()
def controller(
    *,
    namespace: str,
    lease: str,
    metrics_listen: tuple[str, int] | None,
    certificate_secret: str,
    webhook_service: str,
    webhook_configuration: str,
    context: str,
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
    config: str | None,
) -> None:
    """Restore, refresh and collect the generated policies of a cluster.

    Of all that run, the one that holds the lease works. In namespaces of mode augment, policies that are
    missing are written. With --webhook-configuration the paths are kept under which the API server calls the
    webhook, with --certificate-secret its certificates too. SIGTERM and Ctrl-C give the lease back and end
    it.

    Exit code: 0 after a clean stop, 2 for unusable arguments.
    """
    names = (certificate_secret, webhook_service, webhook_configuration)
    if any(names[:2]) and not all(names):
        raise click.UsageError(
            "Give --certificate-secret and --webhook-service with --webhook-configuration, or neither."
        )
    settings = read_settings(config, addresses)
    run(
        ControllerOptions(
            namespace=namespace,
            lease=lease,
            metrics_listen=metrics_listen,
            context=context,
            settings=settings,
            resolver=resolver(offline, settings),
            certificates=Certificates(*names) if webhook_configuration else None,
        )
    )

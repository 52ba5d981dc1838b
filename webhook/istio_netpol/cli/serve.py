"""`istio-netpol serve`: the admission webhook."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from istio_netpol.cli.command import Command
from istio_netpol.cli.options import config_option, reading_options, resolution_options
from istio_netpol.cli.parameter_types import ListenAddress, NamedPath
from istio_netpol.cli.program import examples
from istio_netpol.cli.settings import kustomize_from_environment, read_settings, resolver
from istio_netpol.server.run import ServeOptions
from istio_netpol.server.run import serve as run

SCHEME = "dir:"


CLUSTER = "cluster"


class SourceOption(click.ParamType["Path | str"]):
    """`dir:PATH` or `cluster`."""

    name = "dir:PATH|cluster"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        """The folder, which must be there, or `cluster`."""
        if isinstance(value, Path):
            return value
        if value == CLUSTER:
            return CLUSTER
        if not value.startswith(SCHEME):
            self.fail(f"{value!r} names no source; write dir:PATH, or cluster", param, ctx)
        folder = Path(value.removeprefix(SCHEME) or ".")
        if not os.path.isdir(folder):
            self.fail(f"{folder} is not a folder; create it, or name another one", param, ctx)
        return folder


PEM = NamedPath(path_type=Path, dir_okay=False)


@click.command(
    cls=Command,
    epilog=examples(
        "istio-netpol serve --source dir:manifests --self-signed",
        "istio-netpol serve --source cluster --context dev --self-signed",
        "istio-netpol serve --source cluster --cert tls.crt --key tls.key --listen 0.0.0.0:8443 "
        "--webhook-configuration istio-netpol",
    ),
)
@click.option(
    "--source",
    type=SourceOption(),
    required=True,
    help="The cluster, or the folder of manifests that stands for one.",
)
@click.option("--context", metavar="NAME", default="", help="The context of the kubeconfig to use.")
@click.option(
    "--listen",
    type=ListenAddress(),
    default="127.0.0.1:8443",
    show_default=True,
    help="Where to serve HTTPS; port 0 takes a free one, which the log names.",
)
@click.option(
    "--metrics-listen", type=ListenAddress(), help="Where to serve /metrics over HTTP; nowhere if absent."
)
@click.option(
    "--map-listen",
    type=ListenAddress(),
    help="Where to serve the map of the cluster over HTTPS, to readers with a token of Kubernetes, for each "
    "the namespaces in which they may list pods and NetworkPolicies; nowhere if absent.",
)
@click.option("--self-signed", is_flag=True, help="Make a certificate for loopback and --listen.")
@click.option("--cert", metavar="FILE", type=PEM, help="Certificate chain, PEM.")
@click.option("--key", metavar="FILE", type=PEM, help="Its key, PEM, no password.")
@click.option(
    "--webhook-configuration",
    "webhook_configuration",
    metavar="NAME",
    default="",
    help="Believe reviews that come under a path which the configurations of this name register.",
)
@click.option(
    "--client-ca",
    metavar="FILE",
    type=PEM,
    help="Believe reviews that bring a client certificate which a CA of this file signed.",
)
@click.option(
    "--client-name",
    "client_names",
    metavar="NAME",
    multiple=True,
    help="With --client-ca: the certificate's common name or DNS name; repeatable, any if absent.",
)
@click.option(
    "--any-client",
    is_flag=True,
    help="Believe whoever reaches --listen, where that is not loopback.",
)
@reading_options()
@resolution_options()
@config_option()
def serve(
    *,
    source: Path | str,
    context: str,
    listen: tuple[str, int],
    metrics_listen: tuple[str, int] | None,
    map_listen: tuple[str, int] | None,
    self_signed: bool,
    cert: Path | None,
    key: Path | None,
    webhook_configuration: str,
    client_ca: Path | None,
    client_names: tuple[str, ...],
    any_client: bool,
    namespace: str | None,
    exclude: tuple[str, ...],
    addresses: Sequence[tuple[str, tuple[str, ...]]],
    offline: bool,
    config: str | None,
) -> None:
    """Serve the admission webhook for a cluster, or for a folder of manifests that stands for one.

    A cluster is that of the kubeconfig, or the one that this pod runs in. Either is watched. In namespaces
    of mode augment, missing policies are applied to the cluster, or written to istio-netpol-generated in the
    folder. SIGTERM and Ctrl-C end the server after it has answered what is in flight.

    A review has to prove that the API server sent it: by its path, by a client certificate, or by both. On
    loopback neither is needed.

    Exit code: 0 after a clean stop, 2 for unusable arguments.
    """
    if self_signed == (cert is not None or key is not None) or (cert is None) != (key is None):
        raise click.UsageError("Give either --self-signed, or --cert and --key.")
    if source == CLUSTER:
        _refuse_for_cluster(namespace, exclude)
    else:
        _refuse_for_folder(context, webhook_configuration, map_listen)
    if client_names and client_ca is None:
        raise click.UsageError("--client-name is of use with --client-ca only.")
    if not (webhook_configuration or client_ca or any_client or _is_loopback(listen[0])):
        raise click.UsageError(
            f"Others may reach {listen[0]}, and nothing would prove that a review comes from the API server: "
            "give --webhook-configuration, --client-ca, or --any-client to believe everybody."
        )
    settings = read_settings(config, addresses)
    options = ServeOptions(
        folder=source if isinstance(source, Path) else None,
        context=context,
        listen=listen,
        metrics_listen=metrics_listen,
        map_listen=map_listen,
        certificate=cert,
        key=key,
        settings=settings,
        resolver=resolver(offline, settings),
        kustomize=kustomize_from_environment(),
        namespace=namespace or "",
        exclude=exclude,
        webhook_configuration=webhook_configuration,
        client_ca=client_ca,
        client_names=client_names,
    )
    run(options)


def _refuse_for_cluster(namespace: str | None, exclude: Sequence[str]) -> None:
    """Raises UsageError for what is said of files, where there are none."""
    if namespace or exclude:
        raise click.UsageError("-n and --exclude are of use with --source dir:PATH only.")


def _refuse_for_folder(context: str, webhook_configuration: str, map_listen: tuple[str, int] | None) -> None:
    """Raises UsageError for what takes an API server, where there is none."""
    if context:
        raise click.UsageError("--context is of use with --source cluster only.")
    if webhook_configuration:
        raise click.UsageError("--webhook-configuration is of use with --source cluster only.")
    if map_listen:
        raise click.UsageError(
            "--map-listen is of use with --source cluster only, whose API server knows the readers; "
            "istio-netpol map draws the map of a folder."
        )


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address. Other names than localhost may mean any."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

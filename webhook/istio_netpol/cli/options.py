"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click
from msgspec import Struct

from istio_netpol.cli.parameter_types import ChartValue, HostAddresses, NamedPath, NamespaceName, ReleaseName
from istio_netpol.report.table import has_format, names

CONFIG_VARIABLE = "ISTIO_NETPOL_CONFIG"
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class InputArguments(Struct, frozen=True):
    """The arguments and options about the input of a command, as they were written.

    `paths` are files, folders, `-`, and objects by name. `namespace` is that of what names none, empty where
    nobody said; `all_namespaces` takes back that only one of a cluster is reported. `values`, `sets` and
    `release` are for a Helm chart.
    """

    paths: tuple[str, ...] = ()
    namespace: str = ""
    all_namespaces: bool = False
    context: str = ""
    kubeconfig: str = ""
    exclude: tuple[str, ...] = ()
    config: str = ""
    values: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    release: str = ""

    @property
    def names_cluster(self) -> bool:
        """Whether a cluster is named, which is then read even where there is a PATH."""
        return bool(self.context or self.kubeconfig)


def input_options(metavar: str = "[PATH|KIND/NAME]...") -> Decorator:
    """What to read, how, and what of it to report: arguments and options that reach the command together, as
    `arguments`, for `open_input`."""
    options = (
        click.argument("paths", metavar=metavar, nargs=-1, type=str),
        cluster_options(),
        reading_options(_NAMESPACE_OF_REPORT),
        click.option(
            "-A",
            "--all-namespaces",
            is_flag=True,
            help="Report on all namespaces of a cluster, instead of the context's.",
        ),
        chart_options(),
        config_option(),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def packed(*others: Any, **options: Any) -> Any:
            said = {name: options.pop(name) for name in InputArguments.__struct_fields__}
            arguments = InputArguments(**{name: value for name, value in said.items() if value is not None})
            return command(*others, arguments=arguments, **options)

        decorated: Callable[..., Any] = packed
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate


def chart_options() -> Decorator:
    """`--values`, `--set` and `--release`."""
    values = click.option(
        "--values",
        metavar="FILE",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False),
        help="Render the Helm chart in PATH with the values of this file. Can be repeated, later ones count.",
    )
    sets = click.option(
        "--set",
        "sets",
        metavar="KEY=VALUE",
        type=ChartValue(),
        multiple=True,
        help="Render the Helm chart with this value, after those of files. Can be repeated.",
    )
    release = click.option(
        "--release",
        metavar="NAME",
        default="",
        type=ReleaseName(),
        help="The name of the Helm chart's release, instead of the chart's own.",
    )
    return lambda command: values(sets(release(command)))


_OVER_CLUSTER = (
    "Read the cluster of this context of the kubeconfig, as it would be with PATH applied. Without PATH, "
    "that of the current context is read."
)


def cluster_options(told: str = _OVER_CLUSTER) -> Decorator:
    """`--context` and `--kubeconfig`."""
    context = click.option("--context", metavar="NAME", default="", help=told)
    kubeconfig = click.option(
        "--kubeconfig",
        metavar="FILE",
        default="",
        help="The kubeconfig, instead of the one that KUBECONFIG names or ~/.kube/config.",
    )
    return lambda command: context(kubeconfig(command))


def namespace_option(told: str) -> Decorator:
    """`-n NAME`."""
    return click.option("-n", "--namespace", metavar="NAME", type=NamespaceName(), help=told)


_NAMESPACE_OF_REPORT = (
    "The namespace of objects in PATH that name none; of a cluster, the one to report on, instead of the "
    "context's."
)


def reading_options(told: str = "The namespace of objects that name none.") -> Decorator:
    """`--namespace` and `--exclude`."""
    namespace = namespace_option(told)
    exclude = click.option(
        "--exclude",
        metavar="GLOB",
        multiple=True,
        help="Leave out files and folders in PATH, by patterns as in .gitignore. Can be repeated.",
    )
    return lambda command: namespace(exclude(command))


def config_option() -> Decorator:
    """`--config FILE`."""
    return click.option(
        "--config",
        metavar="FILE",
        envvar=CONFIG_VARIABLE,
        show_envvar=True,
        help="Settings file, instead of .istio-netpol.yaml in the folder of PATH or above; docs/settings.md "
        "lists its keys.",
    )


def resolution_options() -> Decorator:
    """`--address` and `--offline`."""
    address = click.option(
        "--address",
        "addresses",
        type=HostAddresses(),
        multiple=True,
        help="The addresses of a host, instead of asking DNS. Can be repeated.",
    )
    offline = click.option("--offline", is_flag=True, help="Ask no DNS server.")
    return lambda command: address(offline(command))


def assume_deny_all_option() -> Decorator:
    """`--assume-deny-all`."""
    return click.option(
        "--assume-deny-all",
        is_flag=True,
        help="Judge as if every namespace of the input but Kubernetes' own denied all traffic by default.",
    )


def proposals_option() -> Decorator:
    """`--proposals`."""
    return click.option(
        "--proposals",
        is_flag=True,
        help="Also write policies for pods that are not in the input, where they are assumed to run.",
    )


def format_option(command: str) -> Decorator:
    """`-f`, with the formats that the table has for a command; the first is the default."""
    formats = names(command)
    return click.option(
        "-f",
        "--format",
        "format_name",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="Output format.",
    )


def require_format(command: str, format_name: str) -> None:
    """Raises UsageError where a command, with the option that is part of its name, has no such format."""
    if not has_format(command, format_name):
        known = ", ".join(name for name in names(command.partition(" --")[0]) if has_format(command, name))
        raise click.UsageError(
            f"`{command}` has no format {format_name}; use {known}", click.get_current_context(silent=True)
        )


def output_file_option(told: str) -> Decorator:
    """`-o FILE`."""
    return click.option(
        "-o", "--output", "file", metavar="FILE", type=NamedPath(dir_okay=False, path_type=Path), help=told
    )


def output_folder_option(told: str) -> Decorator:
    """`-o DIR`."""
    return click.option(
        "-o", "--output", "folder", metavar="DIR", type=NamedPath(file_okay=False, path_type=Path), help=told
    )


def tight_option() -> Decorator:
    """`--tight` or `--per-namespace`."""
    return click.option(
        "--tight/--per-namespace",
        "tight",
        default=True,
        help="A policy for each workload (the default), or one for all pods of a namespace for istiod and "
        "DNS.",
    )

"""Arguments and options that several commands share, each with its checks."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from istio_netpol.bundle.helm import PROGRAM_VARIABLE as HELM_VARIABLE
from istio_netpol.bundle.helm import Helm, is_release_name
from istio_netpol.bundle.kustomize import PROGRAM_VARIABLE, Kustomize
from istio_netpol.cli.input_arguments import InputArguments
from istio_netpol.cli.terminal import tell
from istio_netpol.config.found import settings_file_above
from istio_netpol.config.settings_file import load_settings
from istio_netpol.config.values import WrongValueError, host_name
from istio_netpol.errors import SettingsError
from istio_netpol.model.connections import FIRST_PORT, LAST_PORT, Protocol, parse_port
from istio_netpol.model.references import NAMESPACE_REMEDY, is_namespace_name
from istio_netpol.model.settings import Settings
from istio_netpol.report.table import has_format, names

if TYPE_CHECKING:
    from istio_netpol.cli.inputs import ReadOptions

CONFIG_VARIABLE = "ISTIO_NETPOL_CONFIG"
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class HostAddresses(click.ParamType[tuple[str, tuple[str, ...]]]):
    """`HOST=IP[,IP…]`."""

    name = "HOST=IP[,IP…]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, tuple[str, ...]]:
        """The host in lower case, and its addresses as they are usually written."""
        if isinstance(value, tuple):
            return value
        written, separator, addresses = value.partition("=")
        host = written.strip().lower().rstrip(".")
        if not separator:
            self.fail(
                f"{value!r} has no '='; write HOST=IP, for example keys.example.com=192.0.2.7", param, ctx
            )
        try:
            host_name(host)
        except WrongValueError as wrong:
            self.fail(f"{written!r} {wrong.cause}; {wrong.remedy}", param, ctx)
        return host, tuple(self._address(address.strip(), param, ctx) for address in addresses.split(","))

    def _address(self, text: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            if "%" in text:
                raise ValueError("a scope means nothing on another machine")
            return str(ip_address(text))
        except ValueError:
            self.fail(f"{text!r} is not an IP address; write it as 192.0.2.1 or 2001:db8::1", param, ctx)


class DestinationParameter(click.ParamType[tuple[str, int | str, Protocol]]):
    """`WHOM:PORT[/PROTOCOL]`."""

    name = "WHOM:PORT[/PROTOCOL]"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int | str, Protocol]:
        """The peer, a port's number or name, and the protocol, TCP where none is given."""
        if isinstance(value, tuple):
            return value
        whom, separator, rest = value.rpartition(":")
        port, slash, protocol = rest.partition("/")
        if not separator or not whom or not port or whom.count("[") != whom.count("]"):
            self.fail(f"{value!r} names no port; write WHOM:PORT, for example shop/cart:8080", param, ctx)
        name = protocol.upper() if slash else "TCP"
        if name not in Protocol.__members__:
            self.fail(f"{protocol!r} is not a protocol; use TCP, UDP or SCTP", param, ctx)
        if not port.isdecimal():
            return whom, port, Protocol(name)
        number = parse_port(port)
        if number is None:
            self.fail(f"port {port[:20]} is not between {FIRST_PORT} and {LAST_PORT}", param, ctx)
        return whom, number, Protocol(name)


class HostName(click.ParamType[str]):
    """A host as a client asks for it, or a wildcard as a route has it."""

    name = "HOST"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The host in lower case, without a port."""
        host, colon, port = str(value).lower().partition(":")
        bare = host.rstrip(".")
        if "/" in bare or (colon and parse_port(port) is None):
            self.fail(f"{value!r} is not a host; write shop.example.com, and a path with --path", param, ctx)
        try:
            host_name(bare.removeprefix("*."))
        except WrongValueError as wrong:
            self.fail(f"{value!r} {wrong.cause}; {wrong.remedy}", param, ctx)
        return bare


class UrlPath(click.ParamType[str]):
    """The path of a request."""

    name = "PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path as it is."""
        if not str(value).startswith("/"):
            self.fail(f"{value!r} does not begin with '/'; write it as in the URL, /cart", param, ctx)
        return str(value)


class ListenAddress(click.ParamType[tuple[str, int]]):
    """`HOST:PORT`; an IPv6 host stands in brackets."""

    name = "HOST:PORT"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Host without brackets, and port; 0 is any free one."""
        if isinstance(value, tuple):
            return value
        host, separator, port = value.rpartition(":")
        is_bracketed = host.startswith("[") and host.endswith("]")
        if not separator or not host or (":" in host and not is_bracketed):
            self.fail(f"{value!r} is not an address; write HOST:PORT, for example 127.0.0.1:8443", param, ctx)
        number = 0 if port == "0" else parse_port(port)
        if number is None:
            self.fail(f"{port!r} is not a port; use a number from 0 (any free one) to 65535", param, ctx)
        return host.strip("[]"), number


class NamespaceName(click.ParamType[str]):
    """The name of a namespace."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is, if a namespace can be called so."""
        if not is_namespace_name(str(value)):
            self.fail(f"{value!r} is not the name of a namespace; {NAMESPACE_REMEDY}", param, ctx)
        return str(value)


class ReleaseName(click.ParamType[str]):
    """The name of a Helm release."""

    name = "NAME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is, if a release can be called so; empty where none was given."""
        if value and not is_release_name(str(value)):
            self.fail(
                f"{value!r} is not the name of a release; use at most 53 lower-case letters, digits and '-'",
                param,
                ctx,
            )
        return str(value)


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


def read_settings(
    config: str | None,
    addresses: Sequence[tuple[str, tuple[str, ...]]] = (),
    dns_addresses: Sequence[str] = (),
) -> Settings:
    """The settings of the file, with the operator's word on hosts in place of what the file says of them, and
    with what is known besides of where DNS answers."""
    return with_addresses(load_settings(_text(config), config or "", dns_addresses), addresses)


def with_addresses(settings: Settings, addresses: Sequence[tuple[str, tuple[str, ...]]]) -> Settings:
    """The settings with the operator's word on hosts."""
    if not addresses:
        return settings
    known: dict[str, tuple[str, ...]] = {}
    for host, found in addresses:
        known[host] = known.get(host, ()) + found
    merged: Mapping[str, tuple[str, ...]] = {**settings.hosts.known_addresses, **known}
    return replace(settings, hosts=replace(settings.hosts, known_addresses=merged))


def settings_and_file(
    arguments: InputArguments, addresses: Sequence[tuple[str, tuple[str, ...]]] = ()
) -> tuple[Settings, Path | None]:
    """The settings that the user named, or those that are found above the input, which standard error then
    says; and their file, None where there is none."""
    if arguments.config:
        return read_settings(arguments.config, addresses), Path(arguments.config)
    found = settings_file_above(arguments.paths)
    if found is not None:
        tell(f"settings: {os.path.relpath(found)}")
    return read_settings(str(found) if found else None, addresses), found


def reading_from(namespace: str | None, exclude: Sequence[str]) -> ReadOptions:
    """How PATHs are read, with the programs that the user named or those that are installed."""
    from istio_netpol.cli.inputs import ReadOptions

    return ReadOptions(kustomize_from_environment(), helm_from_environment(), namespace or "", exclude)


def helm_from_environment() -> Helm:
    """The program that the user named, or the one that is installed."""
    return Helm(os.environ.get(HELM_VARIABLE, ""))


def kustomize_from_environment() -> Kustomize:
    """The program that the user named, or the one that is installed."""
    return Kustomize(os.environ.get(PROGRAM_VARIABLE, ""))


def _text(config: str | None) -> str | None:
    if not config:
        return None
    path = Path(config)
    if path.is_char_device() or path.is_block_device():
        raise SettingsError(f"{config}: is a device, which may never end; name a file of settings")
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{config}: the settings can't be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{config}: the settings are not valid UTF-8") from None

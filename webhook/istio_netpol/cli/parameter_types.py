"""The types of arguments and options: each converts what was typed, or says what is wrong with it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import click

from istio_netpol.bundle.helm import is_release_name
from istio_netpol.config.values import WrongValueError, host_name
from istio_netpol.model.connections import FIRST_PORT, LAST_PORT, Protocol, parse_port
from istio_netpol.model.references import NAMESPACE_REMEDY, is_namespace_name


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


class ChartValue(click.ParamType[str]):
    """A value of a Helm chart. Helm reads the rest: several with commas, lists and parts of keys."""

    name = "KEY=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it is, if it can be one."""
        if not str(value).partition("=")[0] or "=" not in str(value):
            self.fail(f"{value!r} is not KEY=VALUE; write it as replicas=2 or image.tag=1.2", param, ctx)
        return str(value)


class NamedPath(click.Path):
    """A path; an empty text, such as a variable that is not set, is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        if value == "":
            remedy = "; use . for this folder" if self.dir_okay else ""
            self.fail(f"the name is empty{remedy}", param, ctx)
        return super().convert(value, param, ctx)

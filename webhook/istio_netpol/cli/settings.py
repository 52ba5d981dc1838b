"""The settings that a command works by, and what else follows from its options and the environment: which
resolver, which kustomize, which Helm."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from istio_netpol.bundle.helm import PROGRAM_VARIABLE as HELM_VARIABLE
from istio_netpol.bundle.helm import Helm
from istio_netpol.bundle.kustomize import PROGRAM_VARIABLE, Kustomize
from istio_netpol.cli.options import CONFIG_VARIABLE, InputArguments
from istio_netpol.cli.streams import tell
from istio_netpol.config.found import settings_file_above
from istio_netpol.config.settings_file import load_settings
from istio_netpol.errors import SettingsError
from istio_netpol.model.resolution import Resolution, ResolutionStatus, Resolver
from istio_netpol.model.settings import Settings


class Offline:
    """Answers no question about hosts; those that the operator named are never asked."""

    def resolve(self, host: str, asker: str, seconds: float = math.inf) -> Resolution:
        """Says that nobody was asked."""
        return Resolution(host, (), ResolutionStatus.FAILED, reason="DNS was not asked, because of --offline")


def resolver(offline: bool, settings: Settings) -> Resolver:
    """DNS as the settings name it, or nobody."""
    if offline:
        return Offline()
    # The client of DNS takes 0.2 s to import, more than a check of ten files, which --offline can do without.
    from istio_netpol.dns.caching import CacheSettings, CachingResolver  # noqa: PLC0415
    from istio_netpol.dns.lookup import LookupSettings  # noqa: PLC0415

    return CachingResolver(CacheSettings(LookupSettings.of(settings.dns)))


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
    try:
        if path.is_char_device() or path.is_block_device():
            raise SettingsError(f"{config}: is a device, which may never end; name a file of settings")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        cause = error.strerror or error
        raise SettingsError(
            f"{config}: the settings can't be read: {cause}; check --config and {CONFIG_VARIABLE}"
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(
            f"{config}: the settings are not valid UTF-8; name a file of settings, saved as UTF-8"
        ) from None

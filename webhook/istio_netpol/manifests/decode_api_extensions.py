"""Decodes what the API server calls Services for: admission webhooks, conversion webhooks, APIServices."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from istio_netpol.manifests.decode_core import port_number
from istio_netpol.manifests.decode_selectors import SUBDOMAIN
from istio_netpol.manifests.fields import Fields
from istio_netpol.model.addresses import parse_address
from istio_netpol.model.api_calls import ApiExtension, ApiServerCall
from istio_netpol.model.references import ObjectRef

_HTTPS = 443


def decode_webhooks(fields: Fields, ref: ObjectRef) -> Iterator[ApiExtension]:
    """A validating or mutating webhook configuration. A webhook without rules counts too: some operators
    (Knative's) write the rules when they start."""
    calls = (_webhook(webhook, ref) for webhook in fields.mappings("webhooks"))
    yield from _extension(ref, *(call for call in calls if call))


def _webhook(webhook: Fields, ref: ObjectRef) -> ApiServerCall | None:
    # Without a failurePolicy, v1 refuses what it can't ask about, and v1beta1 lets it pass.
    default = "Ignore" if ref.api_version.endswith("/v1beta1") else "Fail"
    policy = webhook.text("failurePolicy", default)
    if policy not in ("Fail", "Ignore"):
        webhook.problem(webhook.at("failurePolicy"), policy, "is not a failure policy", "use Fail or Ignore")
    name = webhook.text("name")
    asked = f"the API server asks webhook {name} about what it stores"
    ignores = policy == "Ignore"
    why = (
        f"{asked}, and stores it unasked where no answer comes"
        if ignores
        else f"{asked}, and refuses it without an answer"
    )
    return _call(webhook.mapping("clientConfig"), why, dispensable=ignores)


def decode_crd(fields: Fields, ref: ObjectRef) -> Iterator[ApiExtension]:
    """A CustomResourceDefinition whose versions a webhook converts; nothing for others."""
    conversion = fields.mapping("spec").mapping("conversion")
    if conversion.text("strategy") != "Webhook":
        return
    # v1beta1 has the client's configuration in the conversion itself.
    old, webhook = conversion.mapping("webhookClientConfig"), conversion.mapping("webhook")
    why = f"the API server has {ref.name} converted between versions there, and can't read them otherwise"
    call = _call(old or webhook.mapping("clientConfig"), why)
    yield from _extension(ref, *((call,) if call else ()))


def decode_api_service(fields: Fields, ref: ObjectRef) -> Iterator[ApiExtension]:
    """An APIService that pods serve; nothing for the API server's own."""
    why = f"the API server hands requests for {ref.name} on to it, and answers 503 otherwise"
    call = _call(fields.mapping("spec"), why)
    yield from _extension(ref, *((call,) if call else ()))


def _extension(ref: ObjectRef, *calls: ApiServerCall) -> Iterator[ApiExtension]:
    if calls:
        yield ApiExtension(ref, calls)


def _call(client: Fields, why: str, *, dispensable: bool = False) -> ApiServerCall | None:
    """The Service that a `clientConfig`, or the spec of an APIService, names, or the address in a URL; None
    where it names neither."""
    service = client.optional("service")
    if service is None:
        return _at_address(client, why, dispensable)
    for name in ("namespace", "name"):
        if not SUBDOMAIN.fullmatch(service.text(name)):
            service.problem(service.at(name), service.text(name) or None, "names no Service", "name one")
    port = port_number(service, "port") or _HTTPS
    return ApiServerCall(
        service.text("namespace"), service.text("name"), port, why, service.path, dispensable
    )


def _at_address(client: Fields, why: str, dispensable: bool) -> ApiServerCall | None:
    """The address and port of a `url`. The API server looks no name of a Service up in cluster DNS."""
    try:
        parts = urlsplit(client.text("url"))
        host, port = parts.hostname or "", parts.port or _HTTPS
    except ValueError:
        return None
    address = parse_address(host)
    if address is None:
        return None
    return ApiServerCall("", "", port, why, client.at("url"), dispensable, address)

"""For which namespace a review is, read before anything else of it: namespaces take turns."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

NO_TENANT = ""
"""The tenant of what can't be read, of what is too large to be read here, and of what has no namespace."""

MOST_BYTES = 512 * 1024
"""Of a body that is read twice. Most reviews have some kilobytes; to skim through half a megabyte takes less
than a millisecond, which everybody else waits for."""

LONGEST_NAME = 253


class _ReviewRequest(Struct):
    namespace: Annotated[str, Meta(max_length=LONGEST_NAME)] = NO_TENANT


class _TenantReview(Struct):
    request: _ReviewRequest


_DECODER = msgspec.json.Decoder(_TenantReview)


def tenant_of(body: bytes) -> str:
    """The namespace of an AdmissionReview; never raises."""
    if len(body) > MOST_BYTES:
        return NO_TENANT
    try:
        return _DECODER.decode(body).request.namespace
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return NO_TENANT

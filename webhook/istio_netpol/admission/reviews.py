"""The AdmissionReview of admission.k8s.io/v1: bytes to a request, a decision to bytes.

A request that is not an AdmissionReview is a `BadRequest`, which the server answers with an HTTP status of
its own. An object within a good request that can't be read is not an error here: the API server validates
objects itself.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from istio_netpol.model.json_values import JsonObject

API_VERSION = "admission.k8s.io/v1"
MAX_DEPTH = 200


class GroupVersionKind(msgspec.Struct, frozen=True):
    """`request.kind`, and `request.resource` with its own name for the last part."""

    group: str = ""
    version: str = ""
    kind: str = ""


class UserInfo(msgspec.Struct, frozen=True):
    """`request.userInfo`, as far as exemptions read it."""

    username: str = ""
    groups: list[str] | None = None


class AdmissionRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The request of a review. `operation` is CREATE, UPDATE, DELETE or CONNECT; DELETE has no `object`."""

    uid: str
    kind: GroupVersionKind = GroupVersionKind()
    sub_resource: str = ""
    name: str = ""
    namespace: str = ""
    operation: str = ""
    user_info: UserInfo = UserInfo()
    object: JsonObject | None = None
    old_object: JsonObject | None = None
    dry_run: bool | None = None

    @property
    def described(self) -> str:
        """`Kind namespace/name`, for people and logs; a name that is yet to be generated ends in `*`."""
        name = self.name or f"{self._generate_name}*"
        is_namespace = (self.kind.group, self.kind.kind) == ("", "Namespace")
        place = f"{self.namespace}/{name}" if self.namespace and not is_namespace else name
        return f"{self.kind.kind} {place}"

    @property
    def object_uid(self) -> str:
        """The uid of the object under review; empty where the API server has not given it one yet."""
        found = (_metadata(content).get("uid") for content in (self.object, self.old_object))
        return next((uid for uid in found if uid and isinstance(uid, str)), "")

    @property
    def _generate_name(self) -> str:
        prefix = _metadata(self.object).get("generateName")
        return prefix if isinstance(prefix, str) else ""


def _metadata(content: JsonObject | None) -> JsonObject:
    """The metadata of an object, which may be anything in one that nobody has validated yet."""
    metadata = (content or {}).get("metadata")
    return metadata if isinstance(metadata, dict) else {}


class AdmissionReview(msgspec.Struct, frozen=True, rename="camel"):
    """The envelope of a request."""

    api_version: str = ""
    kind: str = ""
    request: AdmissionRequest | None = None


class BadRequest(Struct, frozen=True):
    """What is sent back instead of a review: an HTTP status and a sentence."""

    status: int
    reason: str


class StatusCause(Struct, frozen=True):
    """One entry of `status.details.causes`: a rule id, a sentence, and the field path if one is at fault."""

    rule: str
    message: str
    field: str = ""


_DECODER = msgspec.json.Decoder(AdmissionReview)
_ENCODER = msgspec.json.Encoder()


def parse(body: bytes) -> AdmissionRequest | BadRequest:
    """The request within a review, or why there is none."""
    try:
        review = _DECODER.decode(body)
    except RecursionError:
        return BadRequest(400, "the body is nested too deeply")
    except UnicodeDecodeError:
        return BadRequest(400, "the body is not valid UTF-8")
    except msgspec.ValidationError as error:
        return BadRequest(400, f"the body is not an AdmissionReview: {error}")
    except msgspec.DecodeError as error:
        return BadRequest(400, f"the body is not valid JSON: {error}")
    if review.kind != "AdmissionReview":
        return BadRequest(400, f"the body is not an AdmissionReview: its kind is {review.kind[:80]!r}")
    if review.api_version != API_VERSION:
        return BadRequest(400, f"apiVersion {review.api_version[:80]!r} is not served, only {API_VERSION}")
    if review.request is None:
        return BadRequest(400, "the AdmissionReview has no request")
    if not review.request.uid:
        return BadRequest(400, "the AdmissionReview has no request.uid")
    if _may_be_deep(body):
        for content in (review.request.object, review.request.old_object):
            if _is_deep(content):
                return BadRequest(400, f"the object is nested deeper than {MAX_DEPTH} levels")
    return review.request


def encode(
    uid: str,
    allowed: bool,
    message: str = "",
    causes: tuple[StatusCause, ...] = (),
    warnings: tuple[str, ...] = (),
    patch: Sequence[JsonObject] = (),
) -> bytes:
    """The response; a denial has code 403, reason Forbidden, the message for people and the causes for
    programs. `patch` is a JSON Patch of the object."""
    response: JsonObject = {"uid": uid, "allowed": allowed}
    if not allowed:
        response["status"] = {
            "apiVersion": "v1",
            "kind": "Status",
            "status": "Failure",
            "code": 403,
            "reason": "Forbidden",
            "message": message,
            "details": {"causes": [_cause(cause) for cause in causes]},
        }
    if patch:
        response["patchType"], response["patch"] = "JSONPatch", b64encode(_ENCODER.encode(patch)).decode()
    if warnings:
        response["warnings"] = list(warnings)
    return _ENCODER.encode({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response})


def _cause(cause: StatusCause) -> dict[str, str]:
    encoded = {"reason": cause.rule, "message": cause.message}
    return {**encoded, "field": cause.field} if cause.field else encoded


def _may_be_deep(body: bytes) -> bool:
    """Whether a body has enough brackets for that, which few have. Empty pairs, of which managed fields are
    full, hold nothing: only the innermost one can add a level."""
    opened = body.count(b"{") + body.count(b"[")
    return opened >= MAX_DEPTH and opened - body.count(b"{}") - body.count(b"[]") >= MAX_DEPTH


def _is_deep(content: Any) -> bool:
    """Whether an object is nested so deeply that reading it could exhaust the stack; walks level by level."""
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [
            inner
            for node in level
            for inner in (node.values() if type(node) is dict else node)
            if type(inner) is dict or type(inner) is list
        ]
    return bool(level)

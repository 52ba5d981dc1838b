"""Names of generated policies: `<kind>-<subject>-<digest>`, as in
`dns-cart-9eb151f7-1c0d4a52-88e3f6a0-5b7c2d91`.

The digest covers all that a policy does, so that writers of the same content write the same object, and
writers of different contents never overwrite one another's. It has 128 bits: whoever would make a policy of
another content and the same name has 2^128 of them to try. It is written in groups of eight digits, so
that patterns for the names of earlier versions, which ended in one such group, match still.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256

from istio_netpol.manifests.decode_selectors import SUBDOMAIN
from istio_netpol.manifests.encode import encode_spec
from istio_netpol.model.policies import NetworkPolicy

LONGEST_SUBJECT = 120
"""Characters of the subject's name: so that `<namespace>--<name>.yaml`, with the longest kind and namespace,
is a file name too, of at most 255 bytes."""

_DIGITS, _GROUP = 32, 8
_NAME = re.compile(rf".+(-[0-9a-f]{{{_GROUP}}}){{{_DIGITS // _GROUP}}}")
_EARLIER_NAME = re.compile(rf".+-[0-9a-f]{{{_GROUP}}}")


def policy_name(prefix: str, subject: str, digest: str) -> str:
    """A valid name. It is told apart by its digest alone, so that nothing in `subject` can make it another
    one's."""
    return f"{prefix}-{_readable(subject)}-{digest}"


def digest_of(policy: NetworkPolicy) -> str:
    """The digest of what a policy does: selector, directions, peers and ports, in canonical JSON."""
    content = json.dumps(encode_spec(policy), sort_keys=True, separators=(",", ":"))
    digits = sha256(content.encode()).hexdigest()[:_DIGITS]
    return "-".join(digits[start : start + _GROUP] for start in range(0, _DIGITS, _GROUP))


def is_named_after_content(policy: NetworkPolicy) -> bool:
    """Whether a policy does what its name says."""
    return policy.name.endswith(f"-{digest_of(policy)}")


def content_key(policy: NetworkPolicy) -> tuple[str, str]:
    """Equal for generated policies that do the same in one namespace, whatever they are called for."""
    return (policy.namespace, "-".join(policy.name.split("-")[-_DIGITS // _GROUP :]))


def has_earlier_name(policy: NetworkPolicy) -> bool:
    """Whether a generated policy has a name as versions before 128 bits gave them."""
    return _EARLIER_NAME.fullmatch(policy.name) is not None and _NAME.fullmatch(policy.name) is None


def subject_of(name: str, prefix: str) -> str:
    """The subject in a policy's name, without its prefix and digest."""
    return re.sub(rf"(-[0-9a-f]{{{_GROUP}}}){{1,{_DIGITS // _GROUP}}}$", "", name.removeprefix(f"{prefix}-"))


def _readable(subject: str) -> str:
    text = subject[:LONGEST_SUBJECT].rstrip(".-")
    if SUBDOMAIN.fullmatch(text):
        return text
    # The name comes from an ownerReference, say, which the API server does not check.
    return "-".join(re.findall("[a-z0-9]+", text.lower())) or "pods"

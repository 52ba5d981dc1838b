"""What the proof of a bundle can't compare: addresses that nothing but its policies names."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from istio_netpol.analysis.bundle_proof.proof import BundleReport
from istio_netpol.model.assumptions import Assumption
from istio_netpol.model.flows import API_SERVER, API_SERVER_SERVICE

_SETTINGS = {API_SERVER: "apiServer.addresses", API_SERVER_SERVICE: "apiServer.serviceAddress"}


def with_unknown_addresses(proof: BundleReport) -> BundleReport:
    """The proof with what it took for granted of the API server's address."""
    assumptions = sorted({*proof.report.assumptions, *_assumed(proof)})
    return replace(proof, report=replace(proof.report, assumptions=tuple(assumptions)))


def _assumed(proof: BundleReport) -> Iterator[Assumption]:
    asked = {judged.flow.destination for judged in proof.flows}
    for peer, setting in _SETTINGS.items():
        if peer in asked:
            yield Assumption(
                f"the address of {peer} is not known",
                f"that the policies name the right one; with {setting} in environment.yaml, or with "
                "--cluster-dump, the proof compares it",
            )

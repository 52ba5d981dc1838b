"""The versions that the tests run against, or from which the rules were read."""

from __future__ import annotations

KUBERNETES = "1.36"
"""The API server of the tests (`tests/tools/kubernetes`)."""

OLDEST_KUBERNETES = (1, 27)
"""The first with aggregated discovery, without which a cluster can't be read."""

ISTIO = "1.31"
"""The CRDs and istioctl of the tests (`tests/tools/crds`, `tests/tools/istio`)."""

KYMA_MODULES = {"istio": "1.30", "api-gateway": "3.10"}
"""Of Kyma's modules with pods that the rules and the bundle know: the versions that were read."""

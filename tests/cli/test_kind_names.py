"""What kinds are called on a command line."""

from __future__ import annotations

import pytest
from tests.cluster.crds import ARGO_ROLLOUTS, GATEWAY_API, ISTIO, crds
from tests.cluster.fixtures import require_go

from istio_netpol.cli.object_arguments import kinds_called
from istio_netpol.manifests.decode import DECODERS


@pytest.mark.parametrize("kind", DECODERS, ids=str)
def test_every_kind_has_its_name_with_and_without_group(kind: tuple[str, str]) -> None:
    """In upper and lower case."""
    assert kind in kinds_called(kind[1])
    assert kind in kinds_called(kind[1].lower())
    if kind[0]:
        assert kinds_called(f"{kind[1]}.{kind[0]}") == {kind}
        assert kinds_called(f"{kind[1]}.v1.{kind[0]}") == {kind}


@pytest.mark.parametrize("module", [ISTIO, GATEWAY_API, ARGO_ROLLOUTS])
def test_custom_resources_have_the_names_of_their_definitions(module: str) -> None:
    """Plural and short names, as kubectl learns them from the cluster."""
    require_go()
    for definition in crds(module):
        spec = definition["spec"]
        kind = (spec["group"], spec["names"]["kind"])
        if kind in DECODERS:
            for name in (spec["names"]["plural"], *spec["names"].get("shortNames", ())):
                assert kind in kinds_called(name), (name, kind)


@pytest.mark.parametrize("word", ["", "deplyo", "deploy.batch", "po.apps", "secret", "a.b.c"])
def test_other_words_are_no_kinds(word: str) -> None:
    """Nor are kinds of another group."""
    assert kinds_called(word) == frozenset()

"""A deny-all over a namespace that runs, in mode reject: its author does literally what each answer says."""

from __future__ import annotations

from pathlib import Path

from tests.admission.objects import CONTROL_PLANE, deny_all, deployment, namespace
from tests.serving.cluster import Cluster
from tests.serving.desk import Desk
from tests.serving.pasting import pasted
from tests.serving.reviews import review

from istio_netpol.model.settings import Settings

WORKLOADS = 14
"""More than one message has room for."""


def test_pasting_and_repeating_leads_to_an_admitted_deny_all(tmp_path: Path) -> None:
    """Each round shows policies that the webhook admits one by one, and none of them twice; when none is left
    the deny-all is admitted, and every workload has its policy."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    cluster = Cluster(folder)
    cluster.apply(*CONTROL_PLANE, namespace("shop", "reject"))
    cluster.apply(*(deployment(f"shop/w{number:02}") for number in range(WORKLOADS)))
    desk, closing = Desk(folder, Settings()), review(deny_all("shop"))
    applied: list[str] = []
    while not (answer := desk.review("validate", closing))["allowed"]:
        message = answer["status"]["message"]
        assert "generate" not in message
        shown = pasted(message, tmp_path)
        assert not {manifest["metadata"]["name"] for manifest in shown} & set(applied)
        for policy in shown:
            admitted = desk.review("validate", review(policy))
            assert admitted["allowed"]
            assert "warnings" not in admitted
            cluster.apply(policy)
            desk.look()
            applied.append(policy["metadata"]["name"])
        assert ("repeat the request, which then shows what is left" in message) == (len(applied) < WORKLOADS)
    assert len(applied) == WORKLOADS

"""What the controller makes of a cluster that changes under its eyes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.analysis import meshes as some
from tests.analysis.test_changed_tables import others, relabelled
from tests.controller.test_plan import Dns
from tests.flows.current import plain
from tests.values import deny_all, deployment, namespace

from istio_netpol.analysis.needed_policies import Upkeep
from istio_netpol.controller.evaluation import Evaluation
from istio_netpol.kube.cluster import ClusterChanges
from istio_netpol.model.policies import NetworkPolicy, PolicyKey
from istio_netpol.model.references import ObjectRef
from istio_netpol.model.settings import AdmissionSettings, Mode, Settings
from istio_netpol.model.workloads import Owner, Workload
from istio_netpol.state.snapshot import Snapshot

SETTINGS = Settings(admission=AdmissionSettings(default_mode=Mode.AUGMENT))


class Followed:
    """A cluster and an evaluation that follows it step by step."""

    def __init__(self, objects: Sequence[Any]) -> None:
        self.known = {changed.ref.key: changed for changed in objects}
        self.ours: frozenset[PolicyKey] = frozenset()
        self.evaluation = anew(self.known.values())

    def change(self, put: Sequence[Any], remove: Sequence[Any] = ()) -> None:
        put = [*{changed.ref.key: changed for changed in put}.values()]
        remove = [changed for changed in remove if changed.ref.key not in {new.ref.key for new in put}]
        for changed in remove:
            del self.known[changed.ref.key]
        self.known.update((changed.ref.key, changed) for changed in put)
        self.evaluation.take(ClusterChanges(Snapshot.of(self.known.values()), tuple(put), tuple(remove)))

    def write(self, policies: Sequence[NetworkPolicy]) -> None:
        """Our policies appear, and are known as ours from then on."""
        self.ours |= {(policy.namespace, policy.name) for policy in policies}
        self.change(policies)

    def assert_as_anew(self) -> Upkeep:
        """Nothing that was worked out before is believed where it does not hold any more."""
        fresh = anew(self.known.values())
        need = self.evaluation.need(self.ours)
        assert said(need) == said(fresh.need(self.ours))
        told = [plain(finding) for finding in self.evaluation.findings()]
        assert told == [plain(finding) for finding in fresh.findings()]
        return need


def anew(objects: Any) -> Evaluation:
    evaluation = Evaluation(SETTINGS, Dns())
    evaluation.take(ClusterChanges(Snapshot.of(objects), whole=True))
    return evaluation


def said(need: Upkeep) -> Any:
    """What it says, whatever objects it says it with."""
    policies = {key: plain(policy) for key, policy in need.needed.items()}
    objects = {name: plain(ref) for name, ref in need.objects.items()}
    return (policies, need.wanted, need.uncertain, objects)


@given(some.meshes(), some.meshes(), st.data())
def test_what_is_worked_out_step_by_step_is_what_would_be_worked_out_anew(
    before: list[Any], after: list[Any], data: st.DataObject
) -> None:
    """However long the controller runs, whatever came and went and whose the policies are, it writes,
    collects and tells what one that was just started would."""
    followed = Followed(before)
    pool = [*after, *others()]
    for _ in range(data.draw(st.integers(1, 4))):
        put = data.draw(st.lists(st.sampled_from([*pool, *map(relabelled, pool)]), max_size=3))
        there = sorted(followed.known)
        gone = data.draw(st.lists(st.sampled_from(there), max_size=2, unique=True)) if there else []
        followed.change(put, [followed.known[key] for key in gone])
        need = followed.assert_as_anew()
        if need.wanted and data.draw(st.booleans()):
            chosen = data.draw(st.lists(st.sampled_from(sorted(need.wanted)), max_size=3, unique=True))
            followed.write([need.needed[key] for key in chosen])
        if followed.ours and data.draw(st.booleans()):
            followed.ours -= {data.draw(st.sampled_from(sorted(followed.ours)))}
    followed.assert_as_anew()


def test_a_policy_that_somebody_takes_over_counts_as_theirs() -> None:
    """Who takes our label off a policy keeps it, and what it opens needs no policy of ours any more."""
    objects = [namespace("shop", **{"istio-injection": "enabled"}), deployment("shop/cart", app="cart")]
    followed = Followed([*objects, deny_all("shop")])
    need = followed.assert_as_anew()
    followed.write([need.needed[key] for key in sorted(need.wanted)])
    assert followed.assert_as_anew().wanted == need.wanted
    followed.ours = frozenset()
    assert followed.assert_as_anew().wanted == frozenset()


def test_pods_that_outlive_their_controller_keep_what_they_need_and_it_has_no_owner() -> None:
    """While the pods of a deleted Deployment end, they still need DNS; what is gone can't own a policy."""
    pod = Workload(
        ObjectRef("v1", "Pod", "shop", "cart-5d4-x"),
        {"app": "cart", "pod-template-hash": "5d4"},
        owner=Owner("apps/v1", "ReplicaSet", "cart-5d4"),
    )
    cart = deployment("shop/cart", app="cart")
    followed = Followed([namespace("shop", **{"istio-injection": "enabled"}), cart, pod, deny_all("shop")])
    before = followed.assert_as_anew()
    followed.change([], [cart])
    after = followed.assert_as_anew()
    assert before.needed == after.needed
    assert before.objects["Deployment/shop/cart"] == cart.ref
    assert after.objects["Deployment/shop/cart"] is None

"""The handbook's scenarios, typed into a cluster in which the chart is installed: what the reader sees."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fixtures import require, require_go
from tests.cluster.users import ADMIN
from tests.conftest import Golden
from tests.kube.test_commands import run
from tests.live.handbook import CHAPTERS, KEYS_AT
from tests.live.live_cluster import Live, in_mode, live_cluster
from tests.live.reader import GENERATED, Reader
from tests.live.terminal import Terminal

MODES = ("reject", "augment", "warn")
NAMES = [chapter.name for chapter in CHAPTERS]
SCENARIOS = Path(__file__).parents[1] / "scenarios"
EVERY_POLICY = f"/apis/networking.k8s.io/v1/networkpolicies?{GENERATED}"


class Play:
    """One cluster, in which the chapters are played in their order as far as a test asks for them."""

    def __init__(self, mode: str, live: Live) -> None:
        self.mode = mode
        self.live = live
        self._terminal = Terminal(live.plane.kubectl(), SCENARIOS)
        self._reader = Reader(live, self._terminal)
        self._left = list(CHAPTERS)
        self._screens: dict[str, str] = {}

    def screen(self, name: str) -> str:
        """What stands on the screen at the end of a chapter, with the port that every API server has."""
        self._play_to(name)
        return self._screens[name]

    def _play_to(self, name: str) -> None:
        while name not in self._screens:
            chapter = self._left.pop(0)
            self._terminal.screen = ""
            self._reader.work_through(chapter)
            self._screens[chapter.name] = with_usual_port(self._terminal.screen, self.live.plane.port)


def with_usual_port(screen: str, port: int) -> str:
    """The port of this run's API server is any free one; names of policies that open it have its digest."""
    usual = re.sub(rf"\b{port}\b", "6443", screen)
    return re.sub(r"\b(to-apiserver-[a-z-]+?)(-[0-9a-f]{8}){4}\b", r"\1" + 4 * "-01234567", usual)


def denied_in(plane: ControlPlane) -> set[str]:
    """What `istio-netpol check` says of the cluster, as its administrator."""
    addresses = [f"--address={host}={','.join(found)}" for host, found in KEYS_AT.items()]
    done = run(plane, "check", "-A", "--context", ADMIN, "--offline", *addresses, "-f", "json")
    findings = json.loads(done.stdout)["findings"]
    found = [finding for finding in findings if finding["severity"] == "error"]
    assert done.returncode == bool(found), done.stderr
    return {
        f"{finding['rule']} of {finding['object']['namespace']}/{finding['object']['name']}"
        for finding in found
    }


SEEN_IN_TIME = re.compile(
    r"^Warning: (Service istio-system/istio-ingressgateway: .* from health checks .*"
    r"|istio-netpol added NetworkPolicy istio-system/client-to-gateway-istio-ingressgateway-937d0f7f-.*)\n",
    re.MULTILINE,
)
"""What the review of the gateway's Service tells if the Deployment, stored a moment before, is known by then.
If it is not, the controller tells of it."""


@pytest.fixture(scope="module", params=MODES)
def play(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    require("helm", "kube-controller-manager")
    require_go()
    values = in_mode(request.param, hosts={"knownAddresses": KEYS_AT})
    with live_cluster(tmp_path_factory.mktemp(request.param), values) as live:
        yield Play(request.param, live)


@pytest.mark.parametrize("name", NAMES)
def test_the_reader_sees_what_is_wrong_and_what_became_of_it(play: Play, name: str, golden: Golden) -> None:
    """Refused with what to apply, admitted with what was added, or admitted with what is missing: every word
    that kubectl prints. Pods that Deployments ask for are made in all modes."""
    screen = SEEN_IN_TIME.sub("", play.screen(name))
    golden(Path(__file__).parent / "golden" / play.mode / f"{name}.txt", screen)


def test_nothing_is_denied_at_the_end_but_where_only_warnings_were_asked_for(play: Play) -> None:
    """Whoever did what the refusals said, or was augmented, has a mesh that works. What a caller can't open
    at the other end, it was warned of: in mode reject that is left to the called side."""
    play.screen(NAMES[-1])
    called = {"workload-to-workload of namespace-a/nginx"}
    if play.mode == "warn":
        assert len(denied_in(play.live.plane)) > 10
    else:
        assert denied_in(play.live.plane) == (called if play.mode == "reject" else set())


def test_policies_are_written_in_mode_augment_alone(play: Play) -> None:
    """What there is in mode reject its reader has pasted; in mode warn there is none."""
    play.screen(NAMES[-1])
    found = play.live.plane.api().request("GET", EVERY_POLICY).object["items"]
    managers = {field["manager"] for policy in found for field in policy["metadata"]["managedFields"]}
    assert (
        managers
        == {"reject": {"kubectl-client-side-apply"}, "augment": {"istio-netpol"}, "warn": set()}[play.mode]
    )

"""The handbook's scenarios in a real cluster, typed with kubectl for somebody to watch.

etcd, kube-apiserver and kube-controller-manager run, the chart is installed, and the webhook and the
controller work with the rights that it grants. No kubelet does: Pods are made, and wait.
"""

from __future__ import annotations

import re
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]

from tests.demo.ending import play  # noqa: E402
from tests.demo.screen import Screen  # noqa: E402
from tests.live.handbook import CHAPTERS, KEYS_AT, Chapter  # noqa: E402
from tests.live.live_cluster import in_mode, live_cluster  # noqa: E402
from tests.live.reader import Reader  # noqa: E402
from tests.live.terminal import REFUSED, Terminal  # noqa: E402
from tests.tools.programs import ASSETS, absent  # noqa: E402

SCENARIOS = ROOT / "tests" / "scenarios"
REFUSED_IN = re.compile(r"denied the request: \w+ ([a-z0-9-]+)/")


class Walk:
    """Types chapter by chapter. Every namespace starts in mode reject; what is refused first in one is
    repeated once its label asks for augment."""

    def __init__(self, reader: Reader, screen: Screen) -> None:
        self._reader = reader
        self._screen = screen
        self.refused = 0

    def through(self, number: int, chapter: Chapter) -> None:
        """One scenario, and the policies that it ends with."""
        self._screen.heading(f"{number}. {chapter.tells}")
        for line in chapter.lines:
            printed = self._type(line)
            if REFUSED in printed:
                self._augment(line, printed)
        if chapter.name == "sidecar-to-sidecar":
            self._screen.remark(
                "The other end is namespace-b's own. It has agreed, so the controller opens it:"
            )
            self._reader.wait_for_policies("namespace-b", 3)
            self._type("kubectl get networkpolicies -n namespace-b")

    def restore(self) -> None:
        """What the controller does about somebody who deletes a policy."""
        self._screen.heading("Somebody deletes policies by hand. The controller writes them again.")
        namespace, selector = "my-namespace", "app.kubernetes.io/managed-by=istio-netpol"
        self._type(f"kubectl delete networkpolicies -n {namespace} -l {selector}")
        self._reader.wait_for_policies(namespace, 2)
        self._type(f"kubectl get networkpolicies -n {namespace}")

    def _augment(self, line: str, printed: str) -> None:
        self.refused += 1
        found = REFUSED_IN.search(printed)
        assert found is not None, printed
        self._screen.remark("In mode augment, istio-netpol adds these policies itself:")
        self._type(f"kubectl label namespace {found[1]} istio-netpol.io/mode=augment")
        self._type(line)

    def _type(self, line: str) -> str:
        self._screen.command(line)
        printed = self._reader.type(line)
        self._screen.printed(printed)
        return printed


def main() -> None:
    """Plays everything; ends what it started whatever happens."""
    missing = absent(*ASSETS, "kube-controller-manager", "helm")
    if missing is not None:
        sys.exit(missing)
    started, screen = time.monotonic(), Screen()
    values = in_mode("reject", hosts={"knownAddresses": KEYS_AT})
    values["augment"]["enabled"] = True
    screen.opening()
    with (
        tempfile.TemporaryDirectory(prefix="istio-netpol-demo-") as folder,
        live_cluster(Path(folder), values) as live,
    ):
        screen.ready(live.plane.url)
        walk = Walk(Reader(live, Terminal(live.plane.kubectl(), SCENARIOS)), screen)
        for number, chapter in enumerate(CHAPTERS, 1):
            walk.through(number, chapter)
        walk.restore()
        screen.closing(walk.refused, time.monotonic() - started)


if __name__ == "__main__":
    play(main)

"""How a walk through a cluster looks: what is typed, what kubectl prints, within the width of a terminal."""

from __future__ import annotations

import re
import textwrap

from tests.live.terminal import REFUSED, remedies_in

from istio_netpol.cli.terminal import palette

WIDTH = 100
NAME = re.compile(r"^  name: (\S+)$", re.MULTILINE)


class Screen:
    """Writes to standard output, in colour on a terminal."""

    def __init__(self) -> None:
        self._colours = palette()
        self._seen: set[str] = set()
        self._has_pasted = False

    def opening(self) -> None:
        """What the reader is about to see, before it takes its time to start."""
        self._wrapped(
            "A real control plane is started (etcd, kube-apiserver, kube-controller-manager), Istio's kinds "
            "are defined, and istio-netpol's chart is installed: helm template | kubectl apply. Everything "
            "ends by itself, and at Ctrl-C."
        )
        print(flush=True)

    def ready(self, url: str) -> None:
        """That the cluster is there, and how its namespaces are treated."""
        self._wrapped(
            f"Ready at {url}. The webhook and the controller have the rights of the chart's ServiceAccounts, "
            "and namespaces are in mode reject unless their label says otherwise."
        )

    def heading(self, text: str) -> None:
        """What happens next."""
        print()
        self._wrapped(text, escape=self._colours.heading)
        print(flush=True)

    def remark(self, text: str) -> None:
        """A word in between."""
        print()
        self._wrapped(text)
        print(flush=True)

    def command(self, line: str) -> None:
        """What is typed. A manifest that was typed before for another namespace is not shown again."""
        first, *rest = line.splitlines()
        print(self._colours.paint("$", self._colours.faint), self._colours.paint(first, self._colours.good))
        shape = "\n".join(row for row in rest if "namespace:" not in row)
        if rest and shape in self._seen:
            (namespace,) = (row.split()[1] for row in rest if "namespace:" in row)
            rest = [f"... the same for namespace {namespace}", rest[-1]]
        self._seen.add(shape)
        for row in rest:
            print(self._colours.paint(row, self._colours.faint))
        print(end="", flush=True)

    def printed(self, text: str) -> None:
        """What kubectl printed; of the first refusal's policies one in full."""
        pasted = remedies_in(text) if REFUSED in text else []
        for manifest in pasted:
            text = text.replace(manifest, _shortened(manifest, shown=0 if self._has_pasted else 1))
            self._has_pasted = True
        for line in text.rstrip("\n").splitlines():
            escape = self._colours.warning if line.startswith("Warning:") else ""
            escape = self._colours.error if REFUSED in line else escape
            self._wrapped(line, escape, indent="  " if len(line) > WIDTH else "")
        print(end="", flush=True)

    def closing(self, refused: int, seconds: float) -> None:
        """What was seen, and what to do with it."""
        print()
        self._wrapped(
            f"{refused} objects were refused with what to apply, and admitted once their namespace asked for "
            f"augment; {seconds:.0f} s in all."
        )
        print("\nTo install it in your cluster: charts/istio-netpol/README.md", flush=True)

    def _wrapped(self, text: str, escape: str = "", indent: str = "") -> None:
        lines = textwrap.wrap(
            text,
            WIDTH,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
            drop_whitespace=True,
            replace_whitespace=False,
        )
        for line in lines or [""]:
            print(self._colours.paint(line, escape) if escape else line)


def _shortened(command: str, shown: int) -> str:
    """A command to paste with the first policies in full, and the names of the others."""
    start, _, manifests = command.removesuffix("\nEOF").partition("\n")
    policies = manifests.split("\n---\n")
    names = [NAME.findall(policy)[0] for policy in policies[shown:]]
    left = [f"... NetworkPolicy {name}" for name in names]
    return "\n".join([start, *policies[:shown], *left, "EOF"])

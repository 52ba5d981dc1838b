"""A cluster whose every name is markup, a script, or the end of a string: as if nothing had validated it."""

from __future__ import annotations

from tests.values import deployment, namespace, pods, policy, rule

from istio_netpol.analysis.reachability.document import ReachabilityFacts
from istio_netpol.analysis.reachability.facts import facts
from istio_netpol.analysis.reachability.state_reading import Given
from istio_netpol.cli.settings import Offline
from istio_netpol.model.settings import Settings
from istio_netpol.state.snapshot import Snapshot

HOSTILE = '</script><script>window.pwned=1</script><img src=x onerror="window.pwned=1">'
NAMES = (
    HOSTILE,
    '"]; --> %% {{}} \\" \\',
    "'><b>&amp;</b>",
    "@SCRIPT@ @DATA@",
    "\u202egpj.exe",
    "a!b,c*d",
    "javascript:1",
)


def hostile_facts() -> ReachabilityFacts:
    """The facts of that cluster; everything is denied in half of its namespaces."""
    objects: list[object] = []
    for number, name in enumerate(NAMES):
        home = f"{name} home".replace("/", "-")
        objects += [namespace(home, **{"istio-injection": "enabled", "x": name})]
        objects += [deployment(f"{home}/{name}", app=name), deployment(f"{home}/b{name}", app="b")]
        if number % 2:
            objects += [policy(f"{home}/{name}", selects={"app": name}, ingress=[rule(pods(app=name))])]
            objects += [policy(f"{home}/deny{name}", egress=[])]
    return facts(Given(Snapshot.of(objects)), Settings(), Offline())

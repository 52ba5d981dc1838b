"""The chart's values for each environment: what the table of platform facts says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.platform_values import values_text
from tests.chart.rendering import CHART, manifests, of_kind, run_helm
from tests.cluster.fixtures import require
from tests.conftest import Golden

from istio_netpol.platforms.environments import ENVIRONMENTS, ENVIRONMENTS_BY_ID, Environment

FOLDER = CHART / "platforms"
SERVICE_ADDRESS = {"networkPolicies": {"dns": {"cidrs": ["172.20.0.10/32"]}}}
"""What is the user's to set on EKS Auto Mode, where no pod answers."""


def values(environment: str) -> dict[str, Any]:
    """The file of an environment."""
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / f"{environment}.yaml").read_text())
    return loaded


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda environment: environment.id)
def test_the_values_are_the_facts(environment: Environment, golden: Golden) -> None:
    """A fact that changes changes the values that people install with."""
    golden(FOLDER / f"{environment.id}.yaml", values_text(environment))


def test_there_is_a_file_for_each_environment() -> None:
    """And none for an environment that there is not."""
    assert {path.stem for path in FOLDER.iterdir()} == ENVIRONMENTS_BY_ID.keys()


@pytest.mark.parametrize("environment", ENVIRONMENTS_BY_ID)
def test_the_chart_renders_with_them_alone(environment: str, tmp_path: Path) -> None:
    """As people type it, `helm template --values`; on EKS Auto Mode the chart names what is missing."""
    require("helm")
    files = ["--values", FOLDER / f"{environment}.yaml"]
    rendered = run_helm("template", "istio-netpol", CHART, "--kube-version", "1.36.0", *files)
    if environment == "eks-auto":
        assert "networkPolicies.dns.cidrs" in rendered.stderr
        mine = tmp_path / "mine.yaml"
        mine.write_text(yaml.safe_dump(SERVICE_ADDRESS))
        rendered = run_helm(
            "template", "istio-netpol", CHART, "--kube-version", "1.36.0", *files, "--values", mine
        )
    assert rendered.returncode == 0, rendered.stderr
    assert ("runAsUser" in rendered.stdout) is (environment != "openshift")
    assert rendered.stdout.count("admissions.enforcer/disabled") == (2 if environment == "aks" else 0)


@pytest.mark.parametrize("environment", ENVIRONMENTS_BY_ID)
def test_no_port_is_open_that_the_environment_does_not_use(environment: str) -> None:
    """Egress goes to the API server's port there and to DNS on its own, nowhere else."""
    require("helm")
    facts = ENVIRONMENTS_BY_ID[environment]
    given = values(environment)
    if environment == "eks-auto":
        given["networkPolicies"]["dns"]["cidrs"] = ["172.20.0.10/32"]
    for policy in of_kind(manifests(given), "NetworkPolicy"):
        opened = {
            (port["protocol"], port["port"]) for rule in policy["spec"]["egress"] for port in rule["ports"]
        }
        dns = {facts.dns.port, *([53] if facts.dns.addresses or len(facts.dns.pods) != 1 else [])}
        answered = {(protocol, port) for protocol in ("UDP", "TCP") for port in dns}
        assert opened == {("TCP", facts.api_server.port), *answered}

"""`istio-netpol dump`, and commands whose user may not read the whole cluster."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.clients import Outcome
from tests.cluster.control_plane import ControlPlane
from tests.cluster.crds import ISTIO, defined
from tests.cluster.fixtures import require_go
from tests.cluster.users import NOBODY, TENANT
from tests.kube.conftest import native_control_plane
from tests.kube.manifests import DENY_ALL, deployment, service
from tests.kube.test_commands import run

COMMANDS_PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
REPORT = ("--offline", "-f", "json", "--severity", "info")


@pytest.fixture
def mesh(control_plane: ControlPlane) -> str:
    """A namespace under a deny-all in a cluster with istiod and DNS, and with secrets of several kinds."""
    assert control_plane.kubectl().apply(*native_control_plane()).code == 0
    namespace = control_plane.namespace({"istio-injection": "enabled"})
    cart = deployment("cart", namespace, calls="db")
    (container,) = cart["spec"]["template"]["spec"]["containers"]
    container["env"] = [{"name": "PASSWORD", "value": "hunter2"}]
    secret = {"kind": "Secret", "stringData": {"password": "hunter2"}}
    config = {"kind": "ConfigMap", "data": {"application.properties": "password=hunter2"}}
    named = [
        {"apiVersion": "v1", **content, "metadata": {"name": "cart", "namespace": namespace}}
        for content in (secret, config)
    ]
    denied = {**DENY_ALL, "metadata": {"name": "default-deny", "namespace": namespace}}
    lonely = deployment("lonely", namespace)
    objects = [cart, lonely, deployment("db", namespace), service("db", namespace), denied, *named]
    assert control_plane.kubectl().apply(*objects).code == 0
    return namespace


def report(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """A report without the places where objects were read."""
    assert done.returncode in {0, 1}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    for reference in (*(finding["object"] for finding in found["findings"]), *found["undeclared"]):
        del reference["file"], reference["line"]
    return found


def kubectl_of_the_docs() -> list[str]:
    """The arguments of the kubectl command that the page names for those who have no istio-netpol there."""
    (line,) = [
        line for line in COMMANDS_PAGE.read_text().splitlines() if line.strip().startswith("kubectl get")
    ]
    return line.strip().removeprefix("kubectl ").rpartition(" > ")[0].split()


def test_a_dump_is_judged_like_the_cluster(control_plane: ControlPlane, mesh: str, tmp_path: Path) -> None:
    """Findings, figures and assumptions are the same; so they are of what kubectl writes."""
    file = tmp_path / "cluster.yaml"
    done = run(control_plane, "dump", "-o", str(file))
    assert done.returncode == 0, done.stderr
    live = report(run(control_plane, "check", "-A", *REPORT))
    assert mesh in {finding["object"]["namespace"] for finding in live["findings"]}
    assert mesh in {workload["namespace"] for workload in live["undeclared"]}
    assert report(run(control_plane, "check", str(file), *REPORT)) == live
    by_kubectl: Outcome = control_plane.kubectl()(*kubectl_of_the_docs())
    assert by_kubectl.code == 0, by_kubectl.stderr
    (tmp_path / "kubectl.yaml").write_text(by_kubectl.stdout)
    again = report(run(control_plane, "check", str(tmp_path / "kubectl.yaml"), *REPORT))
    assert again["findings"] == live["findings"]


def test_a_dump_holds_no_secrets_and_is_its_owners_alone(
    control_plane: ControlPlane, mesh: str, tmp_path: Path
) -> None:
    """Neither Secrets, nor ConfigMaps of others, nor variables; nor what the API server noted."""
    file = tmp_path / "cluster.yaml"
    file.write_text("older")
    file.chmod(0o644)
    assert run(control_plane, "dump", "-o", str(file)).returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["cluster.yaml"]
    text = file.read_text()
    assert "hunter2" not in text
    assert "managedFields" not in text
    kinds = {item["kind"] for item in yaml.safe_load(text)["items"]}
    assert "Secret" not in kinds
    assert {"Deployment", "NetworkPolicy", "Namespace", "ClusterDump"} <= kinds


def test_a_dump_goes_to_standard_output(control_plane: ControlPlane, mesh: str) -> None:
    """The same bytes as a file has, twice alike; what is said of it goes to standard error."""
    first, second = (run(control_plane, "dump") for _ in range(2))
    assert first.stdout == second.stdout
    assert first.stdout.startswith("apiVersion: v1\nkind: List\nitems:\n- apiVersion: ")
    assert first.stderr.splitlines()[-1].endswith(" objects")


def test_a_dump_that_can_not_be_written_leaves_nothing(control_plane: ControlPlane, tmp_path: Path) -> None:
    """One sentence, and exit code 2."""
    done = run(control_plane, "dump", "-o", str(tmp_path / "gone" / "cluster.yaml"))
    assert done.returncode == 2
    assert "gone/cluster.yaml can't be written: No such file or directory" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_tenant_judges_a_namespace_of_his_own(control_plane: ControlPlane, mesh: str) -> None:
    """What he may not read is told in the report, and makes no error."""
    done = run(control_plane, "check", "-n", mesh, *REPORT, user=TENANT)
    found = report(done)
    errors = [finding for finding in found["findings"] if finding["severity"] == "error"]
    whole = report(run(control_plane, "check", "-n", mesh, *REPORT))
    assert {(finding["rule"], finding["object"]["name"]) for finding in errors} == {
        (finding["rule"], finding["object"]["name"])
        for finding in whole["findings"]
        if finding["severity"] == "error"
    }
    whys = [assumption["why"] for assumption in found["assumed"]]
    (own,) = [why for why in whys if why.endswith(f"in namespace {mesh} only")]
    assert "pods" in own
    assert "networkpolicies.networking.k8s.io" in own
    assert any(why.startswith("your rights do not cover ") and "nodes" in why for why in whys)


def test_a_tenants_dump_says_what_it_lacks(control_plane: ControlPlane, mesh: str, tmp_path: Path) -> None:
    """On standard error, and in every report on the file."""
    file = tmp_path / "shop.yaml"
    done = run(control_plane, "dump", "-n", mesh, "-o", str(file), user=TENANT)
    assert done.returncode == 0, done.stderr
    assert f"in namespace {mesh} only" in done.stderr
    live = report(run(control_plane, "check", "-n", mesh, *REPORT, user=TENANT))
    again = report(run(control_plane, "check", str(file), *REPORT))
    assert again["assumed"] == live["assumed"]
    assert again["findings"] == live["findings"]


@pytest.mark.parametrize("command", [["explain", "deploy/cart"], ["list"], ["generate", "deploy/cart"]])
def test_a_tenant_asks_about_objects_of_his_own(
    control_plane: ControlPlane, mesh: str, command: list[str]
) -> None:
    """Every command that reports takes what he may read."""
    done = run(control_plane, *command, "-n", mesh, user=TENANT)
    assert done.returncode in {0, 1}, done.stderr
    assert f"in namespace {mesh} only" in done.stderr


@pytest.mark.parametrize("command", [["check"], ["check", "-A"], ["dump"], ["list", "-n", "default"]])
def test_who_may_read_nothing_is_told_so(control_plane: ControlPlane, command: list[str]) -> None:
    """Half a cluster would be judged wrongly: the command ends with the rights that are missing."""
    done = run(control_plane, *command, user=NOBODY)
    assert (done.returncode, done.stdout) == (2, "")
    assert 'cannot list resource "pods"' in done.stderr
    assert 'cannot list resource "networkpolicies"' in done.stderr


def test_a_tenant_can_not_report_on_all(control_plane: ControlPlane, mesh: str) -> None:
    """Of namespaces that he may not read nothing can be said; -n is the way out, and is named."""
    done = run(control_plane, "check", "-A", user=TENANT)
    assert done.returncode == 2
    assert "name one that you may read with -n" in done.stderr


def test_objects_of_the_mesh_are_dumped_too(control_plane: ControlPlane, mesh: str, tmp_path: Path) -> None:
    """Of the kinds that the cluster has definitions of, and as it stores them."""
    require_go()
    spec = {
        "hosts": ["shop.example.com"],
        "http": [
            {"headers": {"request": {"set": {"a": "hunter2"}}}, "route": [{"destination": {"host": "db"}}]}
        ],
    }
    keys = {"jwtRules": [{"issuer": "https://a.example", "jwksUri": "https://a.example/keys"}]}
    made = [
        ("networking.istio.io/v1", "VirtualService", spec),
        ("security.istio.io/v1", "RequestAuthentication", keys),
        ("networking.istio.io/v1", "ServiceEntry", {"hosts": ["b.example"], "resolution": "DNS",
         "ports": [{"number": 443, "name": "tls", "protocol": "TLS"}]}),
    ]  # fmt: skip
    with defined(control_plane, ISTIO):
        objects = [
            {
                "apiVersion": version,
                "kind": kind,
                "metadata": {"name": "a", "namespace": mesh},
                "spec": content,
            }
            for version, kind, content in made
        ]
        applied = control_plane.kubectl().apply(*objects)
        assert applied.code == 0, applied.stderr
        file = tmp_path / "cluster.yaml"
        assert run(control_plane, "dump", "-o", str(file)).returncode == 0
        live = report(run(control_plane, "check", "-A", *REPORT))
        assert report(run(control_plane, "check", str(file), *REPORT)) == live
    kinds = {finding["object"]["kind"] for finding in live["findings"]}
    assert {"RequestAuthentication", "ServiceEntry"} & kinds
    assert "hunter2" not in file.read_text()

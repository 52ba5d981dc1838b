"""Objects as arguments: how they are named, and what is reported of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.workspace import DENY_ALL, SHOP, Run

MESH = """\
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{port: 80, targetPort: 5432}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [shop.example.com]
  gateways: [public]
  http: [{route: [{destination: {host: db, port: {number: 80}}}]}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers: [{hosts: ["*"], port: {name: http, number: 80, protocol: HTTP}}]
"""
BANK = (SHOP + DENY_ALL).replace("shop", "bank").replace("name: cart", "name: ledger")


@pytest.fixture(autouse=True)
def mesh(workspace: Path) -> None:
    """Two namespaces: `shop` with a gateway that leads to db, `bank` with ledger and db."""
    calling = SHOP.replace(
        "metadata: {name: cart, namespace: shop}",
        'metadata: {name: cart, namespace: shop, annotations: {istio-netpol.io/calls: "db:80"}}',
    )
    (workspace / "mesh").mkdir()
    (workspace / "mesh/shop.yaml").write_text(calling + DENY_ALL + MESH)
    (workspace / "mesh/bank.yaml").write_text(BANK)


def concerned(run: Run, *arguments: str) -> set[tuple[str, str]]:
    """Kind and namespace/name of the objects of the findings."""
    result = run("check", "mesh", *arguments, "--offline", "-f", "json")
    assert result.exit_code in {0, 1}, result.stderr
    findings = json.loads(result.stdout)["findings"]
    return {(found["object"]["kind"], found["object"]["name"]) for found in findings}


CART = {("Deployment", "cart")}


@pytest.mark.parametrize(
    "arguments",
    [
        ["deploy/cart"],
        ["deployment/cart"],
        ["Deployment/cart"],
        ["deployments/cart"],
        ["deployments.apps/cart"],
        ["deployments.v1.apps/cart"],
        ["shop/Deployment/cart"],
        ["shop/deploy/cart"],
        ["Deployment/shop/cart"],
        ["deploy", "cart"],
        ["deploy/cart", "-n", "shop"],
    ],
)
def test_an_object_is_named_as_for_kubectl(run: Run, arguments: list[str]) -> None:
    """By kind, plural or short name, with the group or without, and as reports and annotations write it."""
    assert concerned(run, *arguments) == CART


def test_findings_of_flows_that_end_at_an_object_are_its_own_too(run: Run) -> None:
    """The pods of db are called by cart, and through the gateway by whatever the VirtualService routes."""
    assert concerned(run, "deploy/db", "-n", "shop") >= {("Deployment", "cart"), ("VirtualService", "cart")}
    assert concerned(run, "svc/db", "-n", "shop") >= {("Deployment", "cart"), ("VirtualService", "cart")}
    assert ("Deployment", "ledger") not in concerned(run, "deploy/db")


def test_a_policy_is_concerned_by_what_it_denies(run: Run) -> None:
    """As is a namespace by all that is in it."""
    denied = concerned(run, "netpol/default-deny", "-n", "bank")
    assert denied == {("Deployment", "ledger")}
    assert concerned(run, "ns/bank") == denied


def test_several_objects_add_up(run: Run) -> None:
    """Each may have a kind of its own, or share one."""
    wanted = {("Deployment", "cart"), ("Deployment", "ledger")}
    assert concerned(run, "deploy/cart", "deploy/ledger") == wanted
    assert concerned(run, "deploy", "cart", "ledger") == wanted
    assert concerned(run, "deploy", "cart", "vs", "cart") == CART | {("VirtualService", "cart")}


def test_without_a_namespace_files_are_searched_everywhere(run: Run) -> None:
    """Both namespaces have a db; -n names one."""
    assert ("VirtualService", "cart") in concerned(run, "deploy/db")
    assert concerned(run, "deploy/db", "-n", "bank") == set()


def test_the_figures_are_those_of_the_object(run: Run) -> None:
    """What else is denied is not counted; the whole input is judged nevertheless."""
    result = run("check", "mesh", "deploy/ledger", "--offline", "-f", "json")
    summary = json.loads(result.stdout)["summary"]
    assert summary["denied"] == len(json.loads(result.stdout)["findings"]) == summary["flows"]


def test_an_object_decides_the_exit_code(run: Run) -> None:
    """Errors of others are not its own."""
    assert run("check", "mesh", "deploy/db", "-n", "bank", "--offline").exit_code == 0
    assert run("check", "mesh", "deploy/ledger", "--offline").exit_code == 1


def test_a_file_of_that_name_wins(run: Run, workspace: Path) -> None:
    """Nobody's folder is hidden by a kind."""
    (workspace / "deploy").mkdir()
    (workspace / "deploy/cart").mkdir()
    (workspace / "deploy/cart/shop.yaml").write_text(SHOP)
    result = run("check", "deploy/cart", "--offline", "-f", "json")
    assert json.loads(result.stdout)["summary"]["objects"] == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["deplyo/cart"], "is neither a file or folder that exists nor an object of a known kind; "
         "did you mean deploy/cart?"),
        (["shop/Deploymnt/cart"], "is neither a file or folder that exists nor an object of a known kind; "
         "did you mean shop/deployment/cart?"),
        (["deploy/crat"], "is not in the input; did you mean Deployment shop/cart?"),
        (["deploy/cart", "-n", "bank"], "is not in namespace bank; namespace shop has one: name it with "
         "-n shop"),
        (["sts/cart"], "is not in the input; there is a Deployment and a VirtualService of that name"),
        (["sts/web"], "is not in the input; the input has none of that kind"),
        (["gw/web"], "is not in the input; there are Gateway shop/public"),
        (["deploy"], "is a kind without a name; write deploy/NAME"),
        (["gone/cart.yaml"], "does not exist; check the path"),
        (["gone"], "does not exist; check the path"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_one_error(run: Run, arguments: list[str], sentence: str) -> None:
    """With what was meant, as far as that can be told."""
    result = run("check", "mesh", *arguments, "--offline")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[0].endswith(sentence)


def test_all_that_is_not_there_is_told_at_once(run: Run) -> None:
    """As with files."""
    result = run("check", "mesh", "deploy/a", "vs/b", "--offline")
    assert result.stderr.splitlines()[-1] == "2 problems; nothing was done"


def test_generate_and_list_take_objects_too(run: Run) -> None:
    """The policies that an object needs, and the connections that its pods have."""
    policies = run("generate", "mesh", "deploy/ledger", "--offline").stdout
    assert "required-by: Deployment/bank/ledger" in policies
    assert "shop" not in policies
    connections = json.loads(run("list", "mesh", "deploy/db", "-n", "bank", "-f", "json").stdout)
    ends = [{connection["source"], connection["destination"]} for connection in connections["connections"]]
    assert all("bank/Deployment/db" in pair for pair in ends)


def test_a_pod_stands_for_all_pods_of_its_controller(run: Run, workspace: Path) -> None:
    """As policies see them; and a controller may be known by its pods only."""
    (workspace / "mesh/pod.yaml").write_text(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-7d9f-abcde\n  namespace: shop\n"
        "  labels: {app: web, pod-template-hash: 7d9f}\n"
        "  ownerReferences:\n"
        "  - {apiVersion: apps/v1, kind: ReplicaSet, name: web-7d9f, uid: a, controller: true}\n"
        "spec: {containers: [{name: web, image: web}]}\n"
    )
    assert concerned(run, "po/web-7d9f-abcde") == concerned(run, "deploy/web") == {("Deployment", "web")}


def test_explain_takes_an_object_for_a_workload(run: Run) -> None:
    """The answer is that of --workload; of two objects only one can be explained."""
    by_name = run("explain", "mesh", "deploy/ledger", "--offline")
    by_option = run("explain", "mesh", "--workload", "bank/ledger", "--offline")
    assert (by_name.stdout, by_name.exit_code) == (by_option.stdout, by_option.exit_code)
    assert by_name.exit_code == 1, by_name.stderr
    several = run("explain", "mesh", "deploy/db", "--offline")
    assert several.exit_code == 2
    assert "stands for 2 objects (Deployment bank/db, Deployment shop/db); explain one" in several.stderr

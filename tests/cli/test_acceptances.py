"""What the owner of an object accepts does not count, and is listed; what is off or exempt neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.workspace import DENY_ALL, SHOP, Run

FORMATS = ("text", "json", "sarif", "junit", "github", "gitlab", "markdown")
REASON = "OPS-12, moves in March"
HEADER = "apiVersion: istio-netpol.io/v1\nkind: Settings\n"


def accepting(text: str, of: str = "name: cart, ") -> str:
    """The shop with an annotation on the Deployment cart."""
    assert of in SHOP
    annotations = f"annotations: {{istio-netpol.io/accept: {json.dumps(text)}}}, "
    return SHOP.replace(of, of + annotations) + DENY_ALL


def report(run: Run, stdin: str, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        run("check", "-", "--offline", "-f", "json", *options, stdin=stdin).stdout
    )
    return document


def rules(document: dict[str, Any]) -> set[str]:
    return {finding["rule"] for finding in document["findings"]}


def test_what_is_accepted_does_not_count(run: Run) -> None:
    """The other findings of the object do."""
    document = report(run, accepting(f"dns until 2999-12-31: {REASON}"))
    assert rules(document) == {"proxy-to-istiod"}
    assert {
        (acceptance["rule"], acceptance["until"], acceptance["reason"]) for acceptance in document["accepted"]
    } == {("dns", "2999-12-31", REASON)}


@pytest.mark.parametrize("between", ["\n", "; ", "\n\n"])
def test_several_are_accepted(run: Run, between: str) -> None:
    """A line for each, or semicolons."""
    text = f"dns until 2999-12-31: {REASON}; and more{between}proxy-to-istiod until 2999-01-01: later"
    result = run("check", "-", "--offline", stdin=accepting(text))
    assert result.exit_code == 0
    assert "; 3 accepted" in result.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_lists_it(run: Run, name: str) -> None:
    """With reason and end."""
    stdin = accepting(f"dns until 2999-12-31: {REASON}")
    for options in ((), ("--all",)) if name == "text" else ((),):
        output = run("check", "-", "--offline", "-f", name, *options, stdin=stdin).stdout
        assert REASON in output
        assert "2999-12-31" in output


def test_sarif_has_suppressions(run: Run) -> None:
    """So that code scanning closes the alert."""
    stdin = accepting(f"dns until 2999-12-31: {REASON}")
    (sarif,) = json.loads(run("check", "-", "--offline", "-f", "sarif", stdin=stdin).stdout)["runs"]
    suppressed = {result["ruleId"] for result in sarif["results"] if "suppressions" in result}
    open_ones = {result["ruleId"] for result in sarif["results"] if "suppressions" not in result}
    assert (suppressed, open_ones) == ({"dns"}, {"proxy-to-istiod"})


def test_after_its_last_day_it_counts_again(run: Run) -> None:
    """And says that it was accepted."""
    document = report(run, accepting(f"dns until 2001-02-03: {REASON}"))
    told = [finding["message"] for finding in document["findings"] if finding["rule"] == "dns"]
    assert told
    assert all(
        message.endswith(f"; it was accepted until 2001-02-03 ({REASON}), which is over") for message in told
    )
    assert document["accepted"] == []


def test_it_counts_for_its_object_alone(run: Run) -> None:
    """An annotation of a Namespace, or of another workload, accepts nothing of this one."""
    for of in ("name: db, ", "metadata: {name: cart, "):
        stdin = accepting(f"dns until 2999-12-31: {REASON}", of)
        assert ("dns" in rules(report(run, stdin))) is (of == "name: db, ")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("dns", "names no rule and end date; write RULE until YYYY-MM-DD: REASON"),
        ("dns until 2999-12-31", "gives no reason"),
        ("dns until 2999-12-31:  ", "gives no reason"),
        ("dns until next summer: soon", "names no rule and end date"),
        ("dns until 2999-13-31: soon", "2999-13-31 is not a date; write it as 2027-03-31"),
        ("dns until 29991231: soon", "29991231 is not a date"),
        ("dsn until 2999-12-31: soon", "dsn is not the id of a rule; did you mean dns?"),
        ("* until 2999-12-31: soon", "* is not the id of a rule; `istio-netpol rule` lists all"),
        ("acceptance until 2999-12-31: soon", "acceptance can't be accepted"),
        ("dns until 2999-12-31: " + "x" * 5000, "is longer than 4096 characters"),
    ],
)
def test_what_cannot_be_read_is_a_finding(run: Run, text: str, cause: str) -> None:
    """It accepts nothing, and says why."""
    document = report(run, accepting(text))
    (finding,) = (finding for finding in document["findings"] if finding["rule"] == "acceptance")
    assert cause in finding["message"]
    assert finding["severity"] == "warning"
    assert "dns" in rules(document)


def test_what_accepts_nothing_any_more_is_an_info(run: Run) -> None:
    """It would hide the next finding of that rule."""
    document = report(run, accepting(f"tracing until 2999-12-31: {REASON}"))
    (finding,) = (finding for finding in document["findings"] if finding["rule"] == "acceptance")
    assert (finding["severity"], "there is no such finding" in finding["message"]) == ("info", True)


def off(namespace_labels: str) -> str:
    return (
        SHOP.replace("{istio-injection: enabled}", f"{{istio-injection: enabled, {namespace_labels}}}")
        + DENY_ALL
    )


@pytest.mark.parametrize(
    ("labels", "settings", "why"),
    [
        ("istio-netpol.io/mode: 'off'", "", "its label istio-netpol.io/mode is off"),
        ("a: b", "admission: {exemptNamespaces: [shop]}", "the setting admission.exemptNamespaces names it"),
        ("a: b", "admission: {defaultMode: 'off'}", "the setting admission.defaultMode is off"),
    ],
)
def test_what_admission_does_not_judge_does_not_count(run: Run, labels: str, settings: str, why: str) -> None:
    """And how much that is stands in the report."""
    Path("settings.yaml").write_text(HEADER + settings)
    options = ("--config", "settings.yaml")
    document = report(run, off(labels), *options)
    assert document["findings"] == []
    assert document["notCounted"] == [{"what": "namespace shop", "why": why, "findings": 3}]
    text = run("check", "-", "--offline", *options, stdin=off(labels)).stdout
    assert f"  - 3 findings of namespace shop, since {why}" in text.splitlines()
    assert text.splitlines()[-1].endswith("; 3 not counted")


def test_what_admission_spares_for_repair_counts(run: Run) -> None:
    """The webhook's own namespace, and Kubernetes': there a missing policy is the worst."""
    Path("settings.yaml").write_text(HEADER + "admission: {ownNamespace: shop}")
    assert rules(report(run, SHOP + DENY_ALL, "--config", "settings.yaml")) == {"dns", "proxy-to-istiod"}
    system = (SHOP + DENY_ALL).replace("shop", "kube-system").replace("{istio-injection: enabled}", "{}")
    calls = system.replace("name: cart, ", 'name: cart, annotations: {istio-netpol.io/calls: "apiserver"}, ')
    assert "to-apiserver" in rules(report(run, calls))


@pytest.mark.parametrize("mode", ["warn", "reject", "augment"])
def test_other_modes_count(run: Run, mode: str) -> None:
    """They say what admission does, not whether something is wrong."""
    assert rules(report(run, off(f"istio-netpol.io/mode: {mode}"))) == {"dns", "proxy-to-istiod"}


def test_a_floor_holds(run: Run) -> None:
    """A namespace can't turn off what the administrator wants judged."""
    Path("settings.yaml").write_text(HEADER + "admission: {floor: warn}")
    document = report(run, off("istio-netpol.io/mode: 'off'"), "--config", "settings.yaml")
    assert rules(document) == {"dns", "proxy-to-istiod"}


def test_severities_are_a_setting(run: Run) -> None:
    """A rule counts as what the settings say; one that is off is not silent."""
    Path("settings.yaml").write_text(HEADER + "severities: {dns: warning, proxy-to-istiod: 'off'}")
    options = ("--config", "settings.yaml")
    document = report(run, SHOP + DENY_ALL, *options)
    assert {(finding["rule"], finding["severity"]) for finding in document["findings"]} == {
        ("dns", "warning")
    }
    assert document["notCounted"] == [
        {"what": "rule proxy-to-istiod", "why": "the setting severities turns it off", "findings": 1}
    ]
    assert run("check", "-", "--offline", *options, stdin=SHOP + DENY_ALL).exit_code == 0


@pytest.mark.parametrize("focus", [(), ("ns/back",), ("deploy/db",), ("svc/db",)])
def test_it_counts_however_little_is_asked_for(run: Run, focus: tuple[str, ...]) -> None:
    """A report on one end of a connection accepts what the object at the other end accepts."""
    annotations = json.dumps(
        {
            "istio-netpol.io/calls": "back/db:5432",
            "istio-netpol.io/accept": f"workload-to-workload until 2999-12-31: {REASON}",
        }
    )
    manifests = (
        SHOP.replace("name: cart, ", f"name: cart, annotations: {annotations}, ")
        + """\
---
apiVersion: v1
kind: Namespace
metadata: {name: back}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: back}
spec: {selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db, namespace: back, annotations: {istio-netpol.io/called-by: shop/cart}}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db, ports: [{containerPort: 5432}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: back}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""
    )
    found = report(run, manifests, *focus, *(("-n", "back") if focus else ()))
    assert "workload-to-workload" not in rules(found)
    assert [acceptance["rule"] for acceptance in found["accepted"]] == ["workload-to-workload"]

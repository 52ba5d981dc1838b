"""The interface for Python programs: the same answers as the commands give."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.workspace import DENY_ALL, SHOP, Run

import istio_netpol
from istio_netpol import InputError, SettingsError, Severity, check, explain, generate


def objects() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(SHOP + DENY_ALL))


def plain(found: istio_netpol.Report) -> list[tuple[str, str, str]]:
    return [(str(finding.rule), str(finding.severity), finding.object.name) for finding in found.findings]


def test_check_finds_what_the_command_finds(run: Run) -> None:
    """In files and in objects, and with options."""
    for options in ((), ("--assume-deny-all",)):
        printed = json.loads(run("check", "manifests", *options, "--offline", "-f", "json").stdout)
        told = [
            (finding["rule"], finding["severity"], finding["object"]["name"])
            for finding in printed["findings"]
        ]
        wanted = bool(options)
        assert plain(check("manifests", offline=True, assume_deny_all=wanted)) == told
        assert plain(check(Path("manifests"), offline=True, assume_deny_all=wanted)) == told
        assert plain(check(*objects(), offline=True, assume_deny_all=wanted)) == told


def test_a_list_of_objects_is_its_items(run: Run) -> None:
    """As kubectl has it."""
    listed = {"apiVersion": "v1", "kind": "List", "items": objects()}
    assert plain(check(listed, offline=True)) == plain(check("manifests", offline=True))


def test_files_and_objects_are_one_input(run: Run) -> None:
    """A policy that is not written yet, say; the same object in both is told as in two files."""
    deny = yaml.safe_load(DENY_ALL)
    assert plain(check("shop.yaml", deny, offline=True)) == plain(check("manifests", offline=True))
    with pytest.raises(InputError, match="is the same object as the one at"):
        check("manifests", {**deny, "spec": {"podSelector": {"matchLabels": {"a": "b"}}}}, offline=True)


def test_what_is_generated_mends_what_is_found(run: Run) -> None:
    """And is what the command prints."""
    policies = generate(*objects(), offline=True)
    assert list(policies) == list(yaml.safe_load_all(run("generate", "manifests", "--offline").stdout))
    report = check(*objects(), *policies, offline=True)
    assert [finding for finding in report.findings if finding.severity is Severity.ERROR] == []


def test_explain_answers_as_the_command_does(run: Run) -> None:
    """Allowed or not, and the steps."""
    denied = explain(*objects(), source="shop/cart", destination="shop/db:5432", offline=True)
    printed = run("explain", "manifests", "--from", "shop/cart", "--to", "shop/db:5432", "-f", "json")
    told = json.loads(printed.stdout)
    assert (denied.allowed, told["allowed"]) == (False, False)
    assert [step.text for step in denied.steps] == [step["text"] for step in told["steps"]]
    assert explain("shop.yaml", source="shop/cart", destination="shop/db:5432", offline=True).allowed


def test_settings_and_addresses_count(run: Run, workspace: Path) -> None:
    """By a file's name; what is not named is not looked for."""
    text = "apiVersion: istio-netpol.io/v1\nkind: Settings\nmesh: {rootNamespace: mesh}\n"
    (workspace / "netpol.yaml").write_text(text)
    (workspace / ".istio-netpol.yaml").write_text("broken")
    assert check("manifests", offline=True).findings[0].denied_by is not None
    found = check("manifests", offline=True, settings="netpol.yaml", addresses={"a.example": ["192.0.2.1"]})
    assert any("Deployment mesh/istiod" in finding.message for finding in found.findings)
    with pytest.raises(SettingsError, match="gone"):
        check("manifests", settings="gone.yaml")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (check, "arguments: there is nothing to read: name a file, a folder or an object"),
        (lambda: check("gone.yaml"), "gone.yaml: does not exist; check the path"),
        (lambda: check({"kind": "Pod"}), "<objects>: Pod: apiVersion: is missing; "
         "every Kubernetes object names its apiVersion and kind"),
        (lambda: explain("shop.yaml", source="shop/cart", destination="shop/db"),
         "arguments: 'shop/db' names no port; write WHOM:PORT, for example shop/cart:8080"),
        (lambda: check("shop.yaml", namespace="No"),
         "arguments: 'No' is not the name of a namespace; use at most 63 lower-case letters, digits and '-'"),
        (lambda: check("shop.yaml", addresses={"a.example": ["nowhere"]}),
         "arguments: 'nowhere' is not an IP address; write it as 192.0.2.1 or 2001:db8::1"),
    ],
)  # fmt: skip
def test_what_can_not_be_used_is_an_error_with_its_problems(run: Run, call: Any, sentence: str) -> None:
    """The same sentences as the commands print."""
    with pytest.raises(InputError) as caught:
        call()
    assert [str(problem) for problem in caught.value.problems] == [sentence]


def test_nothing_is_printed(run: Run, workspace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Remarks go to whoever asks for them."""
    (workspace / "manifests/notes.yaml").write_text("some: values\n")
    remarks: list[str] = []
    check("manifests", offline=True, on_remark=remarks.append)
    check("manifests", offline=True)
    assert [remark for remark in remarks if "notes.yaml" in remark] != []
    assert capfd.readouterr() == ("", "")


def test_an_object_is_left_as_it_is(run: Run) -> None:
    """Whoever hands it over may go on using it."""
    given = objects()
    check(*given, offline=True)
    generate(*given, offline=True, assume_deny_all=True)
    assert given == objects()


def test_importing_the_package_loads_none_of_it() -> None:
    """Each command starts with it; a name is imported when it is asked for."""
    code = (
        "import sys, istio_netpol\n"
        "print([name for name in sys.modules if name.startswith('istio_netpol.')])\n"
        "print([name for name in istio_netpol.__all__ if not hasattr(istio_netpol, name)])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"
    with pytest.raises(ImportError):
        exec("from istio_netpol import nothing")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: check("shop.yaml", assume_denyall=True), "did you mean assume_deny_all?"),
        (lambda: generate("shop.yaml", offlin=True), "did you mean offline?"),
        (
            lambda: explain("shop.yaml", source="a/b", destination="c/d:1", zzz=1),
            "'zzz' is not an option; there",
        ),
        (lambda: check(objects()), "not list; several are given one by one, as in check(*objects)"),
        (lambda: generate(None), "not NoneType"),
    ],
)
def test_a_misspelt_option_changes_no_answer_in_silence(run: Run, call: Any, sentence: str) -> None:
    """Where no type checker looks."""
    with pytest.raises(TypeError) as caught:
        call()
    assert sentence in str(caught.value)


def test_one_pattern_and_one_address_may_be_text(run: Run, workspace: Path) -> None:
    """Text is not taken for the list of its letters."""
    asking = {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": "jwt", "namespace": "shop"},
        "spec": {"jwtRules": [{"issuer": "a", "jwksUri": "https://keys.example.com/k"}]},
    }
    closed = yaml.safe_load(DENY_ALL.replace("namespace: shop", "namespace: istio-system"))
    istiod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "istiod",
            "namespace": "istio-system",
            "labels": {"app": "istiod", "istio": "pilot"},
        },
        "spec": {"containers": [{"name": "discovery", "image": "pilot"}]},
    }
    assert any(
        "192.0.2.7/32" in json.dumps(policy)
        for policy in generate(
            *objects(), asking, closed, istiod, offline=True, addresses={"keys.example.com": "192.0.2.7"}
        )
    )
    (workspace / "manifests" / "broken.yaml").write_text("{")
    assert plain(check("manifests", offline=True, exclude="broken.yaml"))

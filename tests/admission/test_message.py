"""What is said: within the limits of the API, and ready to paste."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.admission.objects import (
    CONTROL_PLANE,
    deny_all,
    deployment,
    manifest,
    namespace,
    request_authentication,
    service,
)
from tests.admission.state import State, shown

from istio_netpol.admission import bounded_text, denial, request_warnings
from istio_netpol.admission.decision import MAX_CAUSES
from istio_netpol.analysis.check import check_table, judge_of


def crowded(count: int, mode: str = "reject") -> State:
    """So many workloads in a namespace, none isolated yet."""
    workloads = [deployment(f"shop/w{number:03}") for number in range(count)]
    return State([*CONTROL_PLANE, namespace("shop", mode), *workloads])


@pytest.mark.parametrize("count", [1, 5, 6, 7, 40, 200])
def test_denial_fits_and_counts_the_rest(count: int) -> None:
    """At most 8 KiB; whole policies only; the number of those left out, and how to see them."""
    state = crowded(count)
    refused = state.validate(deny_all("shop"))
    assert not refused.allowed
    assert len(refused.message.encode()) <= denial.MAX_MESSAGE
    policies = shown(refused)
    assert policies
    assert all(policy["kind"] == "NetworkPolicy" for policy in policies)
    missing = count - len(policies)
    more = "1 more policy is" if missing == 1 else f"{missing} more policies are"
    tail = f"\n{more} missing: apply these and repeat the request, which then shows what is left."
    assert refused.message.endswith(tail if missing else "EOF")
    assert f"it would cut {3 * count} connections" in refused.message


@pytest.mark.parametrize("closed", ["deny-all", "deployment"])
def test_whoever_repeats_the_request_is_through_in_the_end(closed: str) -> None:
    """What each denial shows is applied one by one and cuts nothing; the next one shows the rest, until
    none is left."""
    state = crowded(20)
    new = deny_all("shop")
    if closed == "deployment":
        calls = ", ".join(f"w{number:03}:80" for number in range(20))
        new = deployment("shop/caller", calls=calls)
        state = state.after(deny_all("shop"), *(service(f"shop/w{number:03}") for number in range(20)))
    before, rounds = denied_in(state), 0
    while not (refused := state.validate(new)).allowed:
        rounds += 1
        assert shown(refused)
        for policy in shown(refused):
            assert state.validate(policy).allowed
            state = state.after(policy)
            assert denied_in(state) <= before
    assert rounds > 1
    assert denied_in(state.after(new)) <= before


def denied_in(state: State) -> set[object]:
    """The required flows that are denied, whatever their loss costs."""
    found = check_table(state.table, judge_of(state.table, state.resolver)).findings
    return {finding.flow.key for finding in found if finding.flow is not None and finding.verdict is not None}


def test_flows_whose_loss_is_a_warning_are_kept_too() -> None:
    """What is applied before a deny-all allows all that its pods need, spans and access logs among it."""
    config = manifest("ConfigMap", "istio-system/istio")
    zipkin = "{name: spans, zipkin: {service: zipkin.shop.svc.cluster.local, port: 9411}}"
    config["data"] = {"mesh": f"extensionProviders: [{zipkin}]\n"}
    spans = manifest("Telemetry", "shop/spans", {"tracing": [{"providers": [{"name": "spans"}]}]})
    collector = [deployment("shop/zipkin", 9411), service("shop/zipkin", port=9411, target=9411)]
    state = State(
        [*CONTROL_PLANE, config, namespace("shop", "reject"), *collector, spans, deployment("shop/cart")]
    )
    refused = state.validate(deny_all("shop", "Egress"))
    (policy,) = [
        policy for policy in shown(refused) if policy["spec"]["podSelector"]["matchLabels"] == {"app": "cart"}
    ]
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert ports == {53, 9411, 15012}


def test_denial_is_the_same_every_time() -> None:
    """Byte for byte, whatever order things were stored in."""
    state = crowded(30)
    again = State(reversed(state.stored))
    assert state.validate(deny_all("shop")) == again.validate(deny_all("shop"))


def test_causes_are_bounded() -> None:
    """A status of the API stays small."""
    causes = crowded(200).validate(deny_all("shop")).causes
    assert len(causes) == MAX_CAUSES
    assert max(len(cause.message.encode()) for cause in causes) <= bounded_text.MAX_SENTENCE


@pytest.mark.parametrize("count", [1, 10, 200])
def test_warnings_keep_the_limits_of_the_api(count: int) -> None:
    """256 characters each and 4,096 in all, in printable ASCII; the rest is counted."""
    warnings = crowded(count, "warn").validate(deny_all("shop")).warnings
    assert all(len(warning) <= 256 and warning.isascii() and warning.isprintable() for warning in warnings)
    assert sum(map(len, warnings)) <= 4096
    if count > 10:
        assert warnings[-1] == f"and {3 * count - len(warnings) + 1} more"


def test_remark_on_the_mode_counts_among_the_warnings() -> None:
    """The limit is one for all of them."""
    warnings = crowded(200, "rejct").validate(deny_all("shop")).warnings
    assert warnings[0].startswith("namespace shop: label istio-netpol.io/mode=rejct")
    assert sum(map(len, warnings)) <= 4096


def test_pasted_into_a_shell_it_is_the_yaml_that_kubectl_gets() -> None:
    """The heredoc keeps every character, `$` and backquotes included."""
    bash = shutil.which("bash")
    assert bash
    labels = {"app": "cart"}
    state = State([*CONTROL_PLANE, namespace("shop", "reject"), deny_all("shop")])
    refused = state.validate(deployment("shop/cart", labels=labels))
    command = refused.message[refused.message.index("kubectl apply") :]
    script = "kubectl() { cat; }\n" + command
    printed = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=True).stdout
    assert list(yaml.safe_load_all(printed)) == shown(refused)


def test_what_tenants_write_stays_on_its_line() -> None:
    """A URL with line breaks forges no sentence of ours and ends no heredoc."""
    uri = "http://169.254.169.254/\nEOF\nrm -rf /\n\x1b[31m" + "x" * 5000
    state = State([*CONTROL_PLANE, namespace("shop", "reject"), deny_all("istio-system")])
    refused = state.validate(request_authentication("shop/jwt", uri))
    assert not refused.allowed
    assert "\nEOF\nrm" not in refused.message
    assert "\x1b" not in refused.message
    assert len(refused.message.encode()) <= denial.MAX_MESSAGE
    assert all("\n" not in cause.message for cause in refused.causes)


def test_policy_that_is_too_long_for_a_message_is_counted() -> None:
    """Names of 63 characters in 60 labels fill more than a message holds."""
    labels = {f"label-{number:02}": "x" * 63 for number in range(120)}
    state = State([*CONTROL_PLANE, namespace("shop", "reject"), deny_all("shop")])
    refused = state.validate(deployment("shop/cart", labels=labels))
    assert shown(refused) == []
    assert refused.message.endswith(
        "repeat the request: 2 policies, too long for here: with what is refused in FILE, istio-netpol "
        "generate --context CONTEXT FILE prints all of them."
    )


def test_one_connection_is_one_connection() -> None:
    """Grammar."""
    caller = deployment("shop/cart", calls="ledger:80")
    plain = namespace("shop", "reject", injected=False)
    state = State(
        [
            *CONTROL_PLANE,
            plain,
            deny_all("shop", "Ingress"),
            deployment("shop/ledger"),
            service("shop/ledger"),
        ]
    )
    assert "policies deny 1 connection that" in state.validate(caller).message


@given(st.lists(st.text(max_size=600), max_size=60))
def test_any_sentences_become_warnings_within_the_limits(sentences: list[str]) -> None:
    """Whatever is quoted in them."""
    warnings = request_warnings.of_sentences(sentences)
    assert all(
        len(warning) <= 256 and warning.isascii() and (warning.isprintable() or not warning)
        for warning in warnings
    )
    assert sum(map(len, warnings)) <= 4096


@given(st.text(max_size=3000))
def test_any_sentence_becomes_one_line(text: str) -> None:
    """No line break and no control character survives, and the length is bounded."""
    line = bounded_text.one_line(text)
    assert line.isprintable()
    assert len(line.encode(errors="replace")) <= bounded_text.MAX_SENTENCE


def test_written_policies_are_named() -> None:
    """Mode augment says what it added."""
    state = State([*CONTROL_PLANE, namespace("shop", "augment"), deny_all("shop")])
    write = state.mutate(deployment("shop/cart")).write
    assert request_warnings.wrote(write)[0] == f"istio-netpol added NetworkPolicy {write[0].key}"


def longest(length: int) -> str:
    """A name of that many characters."""
    return ("long-name-" * 30)[: length - 1] + "z"


@pytest.mark.parametrize("name", ["cart", longest(40), longest(63), longest(200)])
@pytest.mark.parametrize("home", ["shop", longest(63)])
def test_warning_names_the_flow_and_the_command_that_prints_the_remedy(home: str, name: str) -> None:
    """Within the 256 characters that the API server keeps of it, however long names are: where the connection
    itself has no room, the command for the namespace stays."""
    state = State([*CONTROL_PLANE, namespace(home, "warn"), deny_all(home)])
    warnings = state.validate(deployment(f"{home}/{name}", labels={"app": "cart"})).warnings
    assert len(warnings) == 3
    for warning in warnings:
        assert len(warning) <= 256
        before, found, command = warning.partition(" Remedy: ")
        assert found, warning
        assert command in (
            f"istio-netpol explain --from {home}/Deployment/{name} --to istio-system/Deployment/istiod:15012",
            f"istio-netpol generate -n {home}",
        )
        named = f"{before} {command}"
        assert "istio-system/istiod (TCP 15012)" in named or "coredns" in named or "/istiod:15012" in named


def test_warning_of_what_is_no_denial_says_where_its_rule_is_explained() -> None:
    """A destination that is not there has no remedy to print."""
    state = State([*CONTROL_PLANE, namespace("shop", "warn")])
    (warning,) = state.validate(deployment("shop/cart", calls="ledger:80")).warnings
    assert warning.endswith(" More: istio-netpol rule unknown-destination")

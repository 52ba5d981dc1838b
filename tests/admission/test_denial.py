"""The whole text of denials, to be read aloud, and what each part of them is for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.admission.objects import (
    CONTROL_PLANE,
    allow,
    deny_all,
    deployment,
    namespace,
    request_authentication,
    service,
    virtual_service,
)
from tests.admission.state import Manifest, State, shown
from tests.conftest import Golden

from istio_netpol.admission.decision import Decision
from istio_netpol.admission.denial import MAX_MESSAGE, START
from istio_netpol.cli.main import program
from istio_netpol.model.settings import AdmissionSettings, Settings

ASKED = "#mesh on Slack"
PAGES = "https://docs.example.com/istio-netpol/rules"
TOLD = Settings(admission=AdmissionSettings(contact=ASKED), rule_pages=PAGES)
EVERY_EGRESS = allow("shop/mesh", egress=[{}])


def refused(new: Manifest, *stored: Manifest, settings: Settings | None = None) -> Decision:
    """The denial of an object of namespace shop."""
    state = State([*CONTROL_PLANE, namespace("shop", "reject"), *stored], settings or Settings())
    decision = state.validate(new)
    assert not decision.allowed
    return decision


def case(name: str, settings: Settings | None = None) -> Decision:
    """One denial for each hand that mends it: the reader's own, others', both, nobody's but the
    administrator's; and one that has an order."""
    exposed = [deployment("shop/cart"), service("shop/cart")]
    route = virtual_service("shop/cart", "cart.shop.svc.cluster.local")
    match name:
        case "own":
            return refused(deployment("shop/cart"), deny_all("shop"), settings=settings)
        case "others":
            return refused(route, *exposed, deny_all("istio-system", "Egress"), settings=settings)
        case "both":
            closed = (deny_all("istio-system", "Egress"), deny_all("shop", "Ingress"))
            return refused(route, *exposed, *closed, settings=settings)
        case "administrator":
            keys = request_authentication("shop/jwt", "http://169.254.169.254/keys")
            return refused(keys, deny_all("istio-system"), settings=settings)
        case _:
            return refused(deny_all("shop"), *exposed, settings=settings)


NAMES = ("own", "others", "both", "administrator", "in order")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("told", [False, True], ids=["shipped", "settings"])
def test_denials_read_well(name: str, told: bool, golden: Golden) -> None:
    """Every word, as shipped and where settings name whom to ask and where the rules' pages are."""
    text = case(name, TOLD if told else None).message
    file = f"{name.replace(' ', '-')}{'-with-settings' if told else ''}.txt"
    golden(Path(__file__).parent / "golden" / file, f"{text}\n")


@pytest.mark.parametrize("name", NAMES)
def test_one_sentence_comes_first_and_every_rule_has_its_page(name: str) -> None:
    """Who is refused and why; then the command that explains each rule, with its address where settings give
    one."""
    decision = case(name, TOLD)
    first = decision.message.splitlines()[0]
    assert " is refused: " in first
    assert first.endswith(".")
    for cause in decision.causes:
        assert f"[{cause.rule}]" in decision.message
        assert f"istio-netpol rule {cause.rule} ({PAGES}/{cause.rule})" in decision.message
    assert ASKED in decision.message


@pytest.mark.parametrize("name", NAMES)
def test_the_command_that_explains_a_rule_prints_its_page(name: str) -> None:
    """Whoever types what the denial says reads about the very rule."""
    typed = re.findall(r"istio-netpol (rule [\w-]+)", case(name).message)
    assert typed
    for command in typed:
        printed = CliRunner().invoke(program, command.split())
        assert printed.exit_code == 0, printed.output
        assert printed.output.startswith(command.removeprefix("rule "))


def test_what_the_reader_can_apply_stands_apart_from_what_others_must() -> None:
    """The first command holds policies of the reader's namespace alone, the second those of others."""
    text = case("both", TOLD).message
    before, own, others = text.split(START)
    assert "You can apply 1 policy of namespace shop yourself; 1 policy of namespace istio-system" in before
    assert f"ask {ASKED}." in before
    assert "namespace: shop" in own
    assert "namespace: istio-system" not in own.partition("spec:")[0]
    assert "Have these applied in namespace istio-system:" in own
    assert "namespace: istio-system" in others.partition("spec:")[0]


def test_both_hands_together_let_the_request_pass() -> None:
    """What is shown for the reader and for others is all that it takes."""
    exposed = [deployment("shop/cart"), service("shop/cart")]
    closed = [deny_all("istio-system", "Egress"), deny_all("shop", "Ingress")]
    state = State([*CONTROL_PLANE, namespace("shop", "reject"), *exposed, *closed])
    route = virtual_service("shop/cart", "cart.shop.svc.cluster.local")
    assert state.after(*shown(state.validate(route))).validate(route).allowed


def test_others_wait_until_the_readers_own_policies_are_all_shown() -> None:
    """Where the message has no room for both, the next request shows the rest; nothing is lost."""
    names = [f"w{number:03}" for number in range(14)]
    exposed = [made for name in names for made in (deployment(f"shop/{name}"), service(f"shop/{name}"))]
    routes = virtual_service("shop/all", "w000.shop.svc.cluster.local")
    routes["spec"]["http"] = [
        {
            "match": [{"uri": {"prefix": f"/{name}"}}],
            "route": [{"destination": {"host": name, "port": {"number": 80}}}],
        }
        for name in names
    ]
    state = State(
        [
            *CONTROL_PLANE,
            namespace("shop", "reject"),
            deny_all("istio-system", "Egress"),
            deny_all("shop", "Ingress"),
            *exposed,
        ]
    )
    rounds = 0
    while not (decision := state.validate(routes)).allowed:
        rounds += 1
        assert len(decision.message.encode()) <= MAX_MESSAGE
        policies = shown(decision)
        assert policies, decision.message
        state = state.after(*policies)
    assert rounds > 1

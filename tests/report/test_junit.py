"""JUnit XML: what CI servers count."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from tests.report.results import KEYS_DENIED, NOTHING, REPORT, UNRESOLVED

from istio_netpol.report.junit import junit


def cases() -> dict[str, ET.Element]:
    return {
        f"{case.get('classname')}/{case.get('name')}": case
        for case in ET.fromstring(junit(REPORT)).iter("testcase")
    }


def test_every_object_is_a_case() -> None:
    """One test case an object, in the order of the report."""
    assert list(cases()) == [
        "shop.Deployment/cart",
        "shop.NetworkPolicy/old",
        "shop.RequestAuthentication/jwt",
        "shop.VirtualService/cart",
    ]


def test_only_errors_fail() -> None:
    """Notes and warnings do not fail a build."""
    failed = [name for name, case in cases().items() if case.find("failure") is not None]
    assert failed == ["shop.Deployment/cart", "shop.RequestAuthentication/jwt", "shop.VirtualService/cart"]
    root = ET.fromstring(junit(REPORT))
    assert (root.get("tests"), root.get("failures")) == ("4", "3")


def test_warnings_are_in_the_output_of_their_object() -> None:
    """Whoever opens the case sees them."""
    output = cases()["shop.RequestAuthentication/jwt"].findtext("system-out")
    assert output == f"/srv/jwt.yaml:3\nwarning jwks-unresolvable: {UNRESOLVED.message}"


def test_a_failure_is_the_finding_with_its_remedy() -> None:
    """The message in short, the YAML below."""
    failure = cases()["shop.RequestAuthentication/jwt"].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("istiod-to-jwks", KEYS_DENIED.message)
    assert "name: istiod-to-jwks-istiod-5e6f7a8b" in (failure.text or "")


def test_characters_that_xml_lacks_are_replaced() -> None:
    """An escape sequence in a message does not make the file unreadable."""
    failure = cases()["shop.Deployment/cart"].find("failure")
    assert failure is not None
    assert "by \ufffd]0;nobody\ufffd" in (failure.text or "")


def test_a_clean_check_is_one_case_that_passes() -> None:
    """CI servers report an empty suite as a broken one."""
    (case,) = ET.fromstring(junit(NOTHING)).iter("testcase")
    assert case.get("name") == "required flows"
    assert list(case) == []

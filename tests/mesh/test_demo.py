"""What somebody sees who types `make demo-mesh`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from tests.demo.mesh import main, tell
from tests.demo.screen import WIDTH, Screen
from tests.mesh.enforcement.protocol import Style
from tests.mesh.mesh import Mesh


@pytest.fixture
def dropping(mesh: Mesh) -> Iterator[Mesh]:
    """The shared mesh as the demo has its own, and without its namespace afterwards."""
    with mesh.enforcement.refusing(Style.DROP):
        yield mesh
    mesh.remove_namespaces("shop")


def test_a_request_times_out_is_explained_and_is_answered_again(
    dropping: Mesh, capsys: pytest.CaptureFixture[str]
) -> None:
    """The outputs are those of curl, kubectl and istio-netpol, in the order of the story."""
    tell(dropping, Screen())
    story = capsys.readouterr().out
    assert re.findall(r"^HTTP/1\.1 (\d+ [A-Za-z ]+)", story, re.MULTILINE) == [
        "200 OK",
        "504 Gateway Timeout",
        "200 OK",
    ]
    assert [int(number) for number in re.findall(r"^(\d)\. ", story, re.MULTILINE)] == [1, 2, 3, 4]
    explained, mended = story.split("\n3. ")[1].split("\n4. ")
    assert "  x gateway-to-workload: VirtualService shop/web: ingress to Deployment shop/web" in explained
    assert "4 errors in " in explained
    for flow in ("dns", "gateway-to-workload", "proxy-to-istiod"):
        assert f"networkpolicy.networking.k8s.io/{flow}-web-" in mended
    assert mended.rstrip().splitlines()[-1].startswith("No findings in ")
    assert "Error" not in story
    prose = [line for line in story.splitlines() if line.startswith(("$", "1", "2", "3", "4"))]
    assert all(len(line) <= WIDTH for line in prose)


def test_it_says_what_the_machine_lacks_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.demo.mesh.without_mesh", lambda: "run them as root")
    with pytest.raises(SystemExit, match="run them as root"):
        main()
    assert capsys.readouterr().out == ""

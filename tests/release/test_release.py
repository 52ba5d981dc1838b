"""A release has all its parts, and whoever builds it again gets the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from release.__main__ import build_packages
from release.checksums import write_checksums
from release.sbom import bill_of_materials, pins
from release.tree import NotReleasableError, commit_time, require_clean
from tests.bundle.overlays import kustomize_build
from tests.cluster.fixtures import require
from tests.tools.programs import located

from istio_netpol import __version__

ROOT = Path(__file__).parents[2]
EPOCH = 1_700_000_000
BUNDLE = f"istio-netpol-{__version__}-bundle.tar"
PARTS = {
    BUNDLE,
    "SHA256SUMS",
    f"istio-netpol-{__version__}.cdx.json",
    f"istio-netpol-{__version__}.tgz",
    f"istio_netpol-{__version__}-py3-none-any.whl",
    f"istio_netpol-{__version__}.tar.gz",
}


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two builds of the same files, in different folders and under different umasks, the second with an
    address."""
    require("helm")
    helm = located("helm")
    assert helm is not None
    folder = tmp_path_factory.mktemp("release")
    built = []
    patch = pytest.MonkeyPatch()
    patch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    try:
        for number, umask in enumerate((0o022, 0o077)):
            before = os.umask(umask)
            try:
                build_packages(ROOT, folder / f"tree-{number}", folder / f"dist-{number}", helm)
            finally:
                os.umask(before)
            built.append(folder / f"dist-{number}")
    finally:
        patch.undo()
    return built


def contents(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_two_builds_are_the_same_bytes(releases: list[Path]) -> None:
    """Wheel, sdist, chart, bill of materials and checksums."""
    first, second = map(contents, releases)
    assert set(first) == PARTS
    assert first == second


def test_the_checksums_are_what_sha256sum_reads(releases: list[Path]) -> None:
    """All files but the list itself are in it, and a changed file is found."""
    command = ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"]
    assert subprocess.run(command, cwd=releases[0], check=False).returncode == 0
    lines = (releases[0] / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ")[1] for line in lines} == PARTS - {"SHA256SUMS"}


def test_the_packages_hold_the_program_of_one_version(releases: list[Path]) -> None:
    """The wheel has code, bundle data and licence; the chart installs that version."""
    with zipfile.ZipFile(releases[0] / f"istio_netpol-{__version__}-py3-none-any.whl") as wheel:
        names = set(wheel.namelist())
        (metadata,) = (wheel.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    assert {
        "istio_netpol/py.typed",
        "istio_netpol/cli/main.py",
        "istio_netpol/bundle/control_plane.yaml",
    } <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    headers = Parser().parsestr(metadata)
    assert (headers["Version"], headers["Requires-Python"]) == (__version__, ">=3.11")
    with tarfile.open(releases[0] / f"istio_netpol-{__version__}.tar.gz") as sdist:
        assert f"istio_netpol-{__version__}/pyproject.toml" in sdist.getnames()
        assert {(member.uid, member.mtime) for member in sdist.getmembers()} == {(0, EPOCH)}
    helm = located("helm")
    shown = subprocess.run(
        [str(helm), "show", "chart", str(releases[0] / f"istio-netpol-{__version__}.tgz")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert f"\nversion: {__version__}\n" in shown
    assert f"appVersion: {__version__}\n" in shown


def test_the_packages_hold_the_pages_of_the_rules(releases: list[Path]) -> None:
    """`istio-netpol rule` prints them wherever the program is installed."""
    pages = {page.name: page.read_text() for page in (ROOT / "docs" / "rules").glob("*.md")}
    with zipfile.ZipFile(releases[0] / f"istio_netpol-{__version__}-py3-none-any.whl") as wheel:
        packed = {
            name.rpartition("/")[2]: wheel.read(name).decode()
            for name in wheel.namelist()
            if name.startswith("istio_netpol/rule_pages/")
        }
    assert packed == pages
    with tarfile.open(releases[0] / f"istio_netpol-{__version__}.tar.gz") as sdist:
        assert f"istio_netpol-{__version__}/webhook/istio_netpol/rule_pages/dns.md" in sdist.getnames()


def test_the_bundle_is_an_image_layout_of_one_layer(releases: list[Path], tmp_path: Path) -> None:
    """Every digest is that of its content, and what the layer holds builds: Argo CD and Flux unpack it."""
    with tarfile.open(releases[0] / BUNDLE) as layout:
        files = {name: _read(layout, name) for name in layout.getnames()}
    for name, content in files.items():
        if name.startswith("blobs/sha256/"):
            assert hashlib.sha256(content).hexdigest() == name.rpartition("/")[2]
    (tagged,) = json.loads(files["index.json"])["manifests"]
    assert tagged["annotations"]["org.opencontainers.image.ref.name"] == __version__
    manifest = json.loads(files[_blob(tagged)])
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert layer["size"] == len(files[_blob(layer)])
    with tarfile.open(fileobj=io.BytesIO(files[_blob(layer)])) as packed:
        packed.extractall(tmp_path, filter="data")
    built = kustomize_build(tmp_path / "kustomize" / "overlays" / "kind")
    assert built.returncode == 0, built.stderr
    assert "name: zz-default-deny" in built.stdout
    assert (tmp_path / "charts" / "istio-netpol" / "Chart.yaml").is_file()


def _blob(descriptor: Any) -> str:
    return f"blobs/sha256/{descriptor['digest'].partition(':')[2]}"


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    return b"" if file is None else file.read()


def test_the_metadata_names_an_address_only_where_somebody_gave_it(
    tmp_path: Path, releases: list[Path]
) -> None:
    """By default there is none, since none exists; HOMEPAGE is in package and chart."""
    with zipfile.ZipFile(releases[0] / f"istio_netpol-{__version__}-py3-none-any.whl") as wheel:
        (metadata,) = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith("/METADATA"))
    assert Parser().parsestr(metadata).get_all("Project-URL") is None
    helm = located("helm")
    assert helm is not None
    build_packages(ROOT, tmp_path / "tree", tmp_path / "dist", helm, "https://git.example.com/istio-netpol")
    with zipfile.ZipFile(tmp_path / "dist" / f"istio_netpol-{__version__}-py3-none-any.whl") as wheel:
        (metadata,) = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith("/METADATA"))
    assert Parser().parsestr(metadata).get_all("Project-URL") == [
        "Homepage, https://git.example.com/istio-netpol"
    ]
    chart = tmp_path / "tree" / "charts" / "istio-netpol" / "Chart.yaml"
    assert 'home: "https://git.example.com/istio-netpol"' in chart.read_text()


def test_the_bill_of_materials_is_valid_and_complete(releases: list[Path]) -> None:
    """CycloneDX's own schema accepts it; it has each package of the lock with the hashes that pip checks, and
    says which needs which."""
    text = (releases[0] / f"istio-netpol-{__version__}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    lock = (ROOT / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE)
    assert [(component["name"], component["version"]) for component in bill["components"]] == pinned
    hashes = [digest["content"] for component in bill["components"] for digest in component["hashes"]]
    assert sorted(hashes) == sorted(re.findall(r"sha256:(\w+)", lock))
    needs = {
        dependency["ref"].split("/")[1].split("@")[0]: dependency["dependsOn"]
        for dependency in bill["dependencies"]
    }
    assert any("/flask@" in ref for ref in needs["istio-netpol"])
    assert any("/jinja2@" in ref for ref in needs["flask"])
    assert needs["blinker"] == []


def test_a_lock_is_read_as_pip_compile_writes_it() -> None:
    """Extras, several parents on lines of their own, and one parent behind `via`."""
    lock = (
        "# made\na==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n    # via\n    #   b\n    #   c\n"
        "b==2 \\\n    --hash=sha256:" + "1" * 64 + "\n    # via istio-netpol (pyproject.toml)\n"
        "c==3.1.post1 \\\n    --hash=sha256:"
        + "2" * 64
        + " \\\n    --hash=sha256:"
        + "3" * 64
        + "\n    # via b\n"
    )
    assert [(pin.name, pin.version, len(pin.sha256), pin.needed_by) for pin in pins(lock)] == [
        ("a", "1.0", 1, ("b", "c")),
        ("b", "2", 1, ("istio-netpol",)),
        ("c", "3.1.post1", 2, ("b",)),
    ]
    dependencies = bill_of_materials(lock, "9", EPOCH)["dependencies"]
    assert {dependency["ref"]: dependency["dependsOn"] for dependency in dependencies} == {
        "pkg:pypi/istio-netpol@9": ["pkg:pypi/b@2"],
        "pkg:pypi/a@1.0": [],
        "pkg:pypi/b@2": ["pkg:pypi/a@1.0", "pkg:pypi/c@3.1.post1"],
        "pkg:pypi/c@3.1.post1": ["pkg:pypi/a@1.0"],
    }


def test_a_release_is_of_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What differs from the last commit is named; without a clone, or with a wrong date, it says so."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    with pytest.raises(NotReleasableError, match="built from a clone"):
        commit_time(tmp_path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com"]
    (tmp_path / "a").write_text("1")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "a"]):
        subprocess.run([*git, *command], check=True)
    require_clean(tmp_path)
    assert commit_time(tmp_path) > EPOCH
    (tmp_path / "a").write_text("2")
    with pytest.raises(NotReleasableError, match=r"Commit or stash them first:\n   M a"):
        require_clean(tmp_path)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    with pytest.raises(NotReleasableError, match="SOURCE_DATE_EPOCH is 'today'"):
        commit_time(tmp_path)


def test_checksums_leave_themselves_out(tmp_path: Path) -> None:
    """Written twice, they are the same."""
    (tmp_path / "b").write_bytes(b"")
    once = write_checksums(tmp_path).read_text()
    assert write_checksums(tmp_path).read_text() == once == f"{hashlib.sha256(b'').hexdigest()}  b\n"

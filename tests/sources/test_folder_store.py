"""Policies as files: complete or absent, and never over or through what istio-netpol did not make."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from istio_netpol.manifests.encode import to_yaml
from istio_netpol.manifests.load import load
from istio_netpol.manifests.read import read_documents
from istio_netpol.model.own_names import REQUIRED_BY
from istio_netpol.model.policies import NetworkPolicy
from istio_netpol.remedies.names import digest_of
from istio_netpol.sources.folder_store import GENERATED, FolderStore

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: dns-cart
  namespace: shop
  labels:
    app.kubernetes.io/managed-by: istio-netpol
spec:
  podSelector:
    matchLabels:
      app: cart
  policyTypes: [Egress]
  egress:
  - ports:
    - protocol: UDP
      port: 53
"""
FILE = "shop--dns-cart.yaml"


def decoded(text: str) -> NetworkPolicy:
    loaded = load(read_documents(text.encode(), ""))
    assert loaded.problems == ()
    (policy,) = loaded.objects
    assert isinstance(policy, NetworkPolicy)
    return policy


@pytest.fixture
def policy() -> NetworkPolicy:
    return decoded(POLICY)


@pytest.fixture
def generated(tmp_path: Path) -> Path:
    """Where the store writes; not made yet."""
    return tmp_path / "cluster" / GENERATED


@pytest.fixture
def store(generated: Path) -> FolderStore:
    generated.parent.mkdir()
    return FolderStore(generated.parent)


def refusal(store: FolderStore, policy: NetworkPolicy) -> str:
    (result,) = store.write([policy])
    assert result.policy == policy
    assert result.written != bool(result.refused)
    return result.refused


def test_a_policy_becomes_a_file(store: FolderStore, generated: Path, policy: NetworkPolicy) -> None:
    """The file holds the policy and says who wrote it; everybody may read it; nothing else is left."""
    assert refusal(store, policy) == ""
    (file,) = generated.iterdir()
    assert file.name == FILE
    assert file.read_text().startswith("# Written by istio-netpol.")
    assert to_yaml([decoded(file.read_text())]) == to_yaml([policy])
    assert file.stat().st_mode & 0o444 == 0o444


def test_the_same_policy_is_left_alone(store: FolderStore, generated: Path, policy: NetworkPolicy) -> None:
    """A policy that is there counts as written and its file stays the same file."""
    refusal(store, policy)
    before = (generated / FILE).stat()
    assert refusal(store, policy) == ""
    after = (generated / FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_our_own_file_is_renewed(store: FolderStore, generated: Path, policy: NetworkPolicy) -> None:
    """A file that we wrote takes the policy's new annotation."""
    refusal(store, replace(policy, annotations={REQUIRED_BY: "Deployment/shop/web"}))
    assert refusal(store, policy) == ""
    assert to_yaml([decoded((generated / FILE).read_text())]) == to_yaml([policy])
    assert [path.name for path in generated.iterdir()] == [FILE]


def test_another_content_of_the_same_name_stays(
    store: FolderStore, generated: Path, policy: NetworkPolicy
) -> None:
    """Were two contents to get one name, the first stays, for `generate` too."""
    other = decoded(POLICY.replace("53", "54"))
    refusal(store, other)
    for door in (store, FolderStore(generated, subfolder="", restores=True)):
        assert (
            refusal(door, policy)
            == f"{FILE} is there already and does something else than its name says; delete it"
        )
    assert to_yaml([decoded((generated / FILE).read_text())]) == to_yaml([other])


def test_generate_restores_what_was_edited(generated: Path, policy: NetworkPolicy) -> None:
    """The name tells what the file is for."""
    named = replace(policy, ref=replace(policy.ref, name=f"dns-cart-{digest_of(policy)}"))
    generated.mkdir(parents=True)
    door = FolderStore(generated, subfolder="", restores=True)
    refusal(door, replace(named, egress=()))
    assert refusal(door, named) == ""
    assert to_yaml([decoded((generated / f"shop--{named.name}.yaml").read_text())]) == to_yaml([named])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "not: [yaml",
        POLICY.replace("managed-by: istio-netpol", "managed-by: somebody"),
        POLICY.replace("dns-cart", "dns-order"),
        POLICY + "---\n" + POLICY.replace("dns-cart", "another"),
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: dns-cart}\n",
    ],
    ids=["empty", "broken", "unlabelled", "another-name", "two", "another-kind"],
)
def test_files_of_others_stay(
    store: FolderStore, generated: Path, policy: NetworkPolicy, content: str
) -> None:
    """A file that holds anything but our policy of that name is never written over."""
    generated.mkdir(parents=True)
    (generated / FILE).write_text(content)
    assert refusal(store, policy) == f"{FILE} is there already and was not written by istio-netpol"
    assert (generated / FILE).read_text() == content


def test_a_link_in_place_of_a_file(store: FolderStore, generated: Path, policy: NetworkPolicy) -> None:
    """A link is neither followed nor replaced, wherever it leads: to nothing, or to a policy of ours."""
    generated.mkdir(parents=True)
    victim = generated.parent / "victim"
    (generated / FILE).symlink_to(victim)
    for content in (None, POLICY):
        if content:
            victim.write_text(content)
        assert refusal(store, policy) == f"{FILE} is a link that istio-netpol did not make"
    assert victim.read_text() == POLICY
    assert (generated / FILE).is_symlink()


def test_a_fifo_in_place_of_a_file(store: FolderStore, generated: Path, policy: NetworkPolicy) -> None:
    """A FIFO, on which a reader would wait for ever, is refused at once."""
    generated.mkdir(parents=True)
    os.mkfifo(generated / FILE)
    assert refusal(store, policy) == f"{FILE} is there already and was not written by istio-netpol"


@pytest.mark.parametrize("kind", ["link", "dangling", "file"])
def test_something_else_in_place_of_the_folder(
    store: FolderStore, generated: Path, policy: NetworkPolicy, kind: str
) -> None:
    """Where the folder for generated policies is a link or a file, nothing is written anywhere."""
    elsewhere = generated.parent.with_name("elsewhere")
    if kind == "file":
        generated.write_text("mine")
    else:
        generated.symlink_to(elsewhere)
    if kind == "link":
        elsewhere.mkdir()
    told = refusal(store, policy)
    assert told == f"{generated} is a link or a file, not the folder that istio-netpol makes"
    assert not elsewhere.exists() or not list(elsewhere.iterdir())


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "../../etc/cron.d/x"},
        {"name": "a/b"},
        {"name": ".."},
        {"name": ""},
        {"name": "a" * 254},
        {"name": "a\n"},
        {"namespace": ".."},
        {"namespace": "a.b"},
        {"namespace": ""},
    ],
    ids=lambda changes: ascii(changes)[:30],
)
def test_names_that_are_paths(
    store: FolderStore, generated: Path, policy: NetworkPolicy, changes: dict[str, str]
) -> None:
    """A name that the API server would not accept makes no file."""
    assert "is not a name that the API server would accept" in refusal(
        store, replace(policy, ref=replace(policy.ref, **changes))
    )
    assert not generated.exists()


def test_a_folder_that_is_gone(store: FolderStore, generated: Path, policy: NetworkPolicy) -> None:
    """Where the watched folder is gone it is not made again; the reason names it."""
    generated.parent.rmdir()
    assert refusal(store, policy) == f"{generated}: No such file or directory"


def test_a_file_that_can_not_be_written_is_told_by_its_folder(
    store: FolderStore, generated: Path, policy: NetworkPolicy
) -> None:
    """And not by the random name of the half that is written first."""
    long = replace(policy, ref=replace(policy.ref, name="a" * 253))
    assert refusal(store, long) == f"{generated}: File name too long"


def test_one_refusal_does_not_stop_the_others(
    store: FolderStore, generated: Path, policy: NetworkPolicy
) -> None:
    """Every policy gets its own result, in order."""
    results = store.write([replace(policy, ref=replace(policy.ref, name="a/b")), policy])
    assert [result.written for result in results] == [False, True]
    assert [path.name for path in generated.iterdir()] == [FILE]

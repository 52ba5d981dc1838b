"""A folder that stands for a cluster: what counts as a change, and what keeps the last good state."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from istio_netpol.bundle.kustomize import Kustomize
from istio_netpol.model.services import Service
from istio_netpol.sources.folder_source import RETRY_SECONDS, FolderSource


class Clock:
    """Seconds that pass when the test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def namespace(name: str) -> str:
    return f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "cluster"
    folder.mkdir()
    (folder / "a.yaml").write_text(namespace("a"))
    return folder


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source(folder: Path, clock: Clock) -> FolderSource:
    source = FolderSource(folder, Kustomize(program="kustomize-that-is-not-there"), clock)
    assert source.refresh()
    return source


def settle(source: FolderSource) -> bool:
    """Two looks, as a change is read once it has stayed for one; whether there was something new."""
    source.refresh()
    return source.refresh()


def names(source: FolderSource) -> list[str]:
    return sorted(source.state().snapshot.namespace_names)


def problem(source: FolderSource) -> str:
    (found,) = source.state().problems
    return found


def test_before_the_first_look(folder: Path) -> None:
    """A source that has not looked yet is not synced, so nothing is decided by an empty cluster."""
    state = FolderSource(folder, Kustomize()).state()
    assert not state.synced
    assert state.snapshot.object_count == 0


def test_a_change_is_read_once_it_has_settled(source: FolderSource, folder: Path) -> None:
    """A file that is still being written is not read in halves: it must stay the same for one look."""
    (folder / "b.yaml").write_text(namespace("b"))
    assert not source.refresh()
    assert source.is_settling
    (folder / "b.yaml").write_text(namespace("longer-b"))
    assert not source.refresh()
    assert source.refresh()
    assert names(source) == ["a", "longer-b"]
    assert not source.is_settling
    assert not source.refresh()


def test_deleted_files_are_gone(source: FolderSource, folder: Path) -> None:
    """An object leaves the snapshot with its file."""
    (folder / "b.yaml").write_text(namespace("b"))
    assert settle(source)
    (folder / "a.yaml").unlink()
    assert settle(source)
    assert names(source) == ["b"]


def test_a_change_that_keeps_size_and_time_is_seen(source: FolderSource, folder: Path) -> None:
    """Tools that restore modification times (rsync, cp -p, git) can't hide a change."""
    before = (folder / "a.yaml").stat()
    (folder / "a.yaml").write_text(namespace("z"))
    os.utime(folder / "a.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert settle(source)
    assert names(source) == ["z"]


def test_a_broken_file_keeps_the_last_good_state(source: FolderSource, folder: Path, clock: Clock) -> None:
    """Nothing of a folder is taken in while a file of it is broken; the reason names file and line, and the
    snapshot grows old."""
    (folder / "b.yaml").write_text(namespace("b"))
    (folder / "c.yaml").write_text("kind: [\n")
    assert settle(source)
    clock.now += 5
    assert problem(source).startswith(f"{folder / 'c.yaml'}:")
    assert names(source) == ["a"]
    assert source.state().age == 5
    assert not source.refresh(), "told twice"
    (folder / "c.yaml").write_text(namespace("c"))
    assert settle(source)
    state = source.state()
    assert (names(source), state.problems, state.age) == (["a", "b", "c"], (), 0)


def test_the_same_object_in_two_files(source: FolderSource, folder: Path) -> None:
    """Where they differ nobody can say which of two files counts, so neither does."""
    (folder / "b.yaml").write_text(namespace("a") + "  labels: {app: a}\n")
    assert settle(source)
    assert "is the same object as the one at" in problem(source)


def test_an_object_with_two_meanings_is_one_object(source: FolderSource, folder: Path) -> None:
    """A webhook configuration that is a revision tag of istiod, too, is not the same object twice."""
    (folder / "tag.yaml").write_text(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\n"
        "metadata: {name: istio-revision-tag-prod, labels: {istio.io/tag: prod, istio.io/rev: v1}}\n"
        "webhooks: [{name: in.istio.io, clientConfig: {service: {name: istiod, namespace: istio-system}}}]\n"
    )
    assert settle(source)
    assert source.state().problems == ()
    (folder / "again.yaml").write_text((folder / "tag.yaml").read_text().replace("v1}}", "v2}}"))
    assert settle(source)
    assert "is the same object as the one at" in problem(source)


def test_a_folder_that_goes_and_comes_back(source: FolderSource, folder: Path, clock: Clock) -> None:
    """While the folder is away the last state stays and the reason is told; it is read when it is back."""
    away = folder.with_name("away")
    folder.rename(away)
    assert source.refresh()
    assert problem(source) == f"{folder}: can't be read: No such file or directory"
    assert names(source) == ["a"]
    assert not source.refresh(), "told twice"
    away.rename(folder)
    (folder / "b.yaml").write_text(namespace("b"))
    assert settle(source)
    assert (names(source), source.state().problems) == (["a", "b"], ())


def test_what_is_broken_is_tried_again(
    source: FolderSource, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure that no file of the folder is to blame for heals without a change of the folder: here,
    the program that builds it is installed."""
    (folder / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    assert settle(source)
    assert "kustomize-that-is-not-there" in problem(source)
    program = folder.parent / "kustomize-that-is-not-there"
    program.write_text(f"#!/bin/sh\ncat {folder}/a.yaml\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder.parent}{os.pathsep}{os.environ['PATH']}")
    assert not source.refresh(), "tried again at once"
    clock.now += RETRY_SECONDS
    assert source.refresh()
    assert source.state().problems == ()


def test_what_is_no_file_is_passed_over(source: FolderSource, folder: Path) -> None:
    """A FIFO is not waited for, and links that lead in circles or nowhere stop nothing."""
    os.mkfifo(folder / "fifo.yaml")
    (folder / "circle").symlink_to(folder)
    (folder / "self").symlink_to("self")
    (folder / "nowhere").symlink_to("missing")
    (folder / ".hidden.yaml").write_text("kind: [\n")
    assert settle(source)
    assert (names(source), source.state().problems) == (["a"], ())


def test_mounted_config_map(tmp_path: Path) -> None:
    """Kubernetes mounts files as links through `..data`, and renews them by swapping that link."""
    folder = tmp_path / "mount"
    for version, name in (("..1", "old"), ("..2", "new")):
        (folder / version).mkdir(parents=True)
        (folder / version / "ns.yaml").write_text(namespace(name))
    (folder / "..data").symlink_to("..1")
    (folder / "ns.yaml").symlink_to("..data/ns.yaml")
    source = FolderSource(folder, Kustomize())
    assert source.refresh()
    assert names(source) == ["old"]
    (folder / "..data_tmp").symlink_to("..2")
    os.replace(folder / "..data_tmp", folder / "..data")
    assert settle(source)
    assert names(source) == ["new"]


def test_changes_behind_a_link_are_seen(source: FolderSource, folder: Path) -> None:
    """A linked folder is watched like any other."""
    elsewhere = folder.with_name("elsewhere")
    elsewhere.mkdir()
    (elsewhere / "b.yaml").write_text(namespace("b"))
    (folder / "link").symlink_to(elsewhere)
    assert settle(source)
    (elsewhere / "b.yaml").write_text(namespace("other"))
    assert settle(source)
    assert names(source) == ["a", "other"]
    shutil.rmtree(elsewhere)
    assert settle(source)
    assert names(source) == ["a"]


def test_what_is_not_read_as_it_stands_is_told(source: FolderSource, folder: Path) -> None:
    """Documents that are no objects, objects of no namespace, and versions that nobody serves."""
    (folder / "values.yaml").write_text("a: 1\n")
    (folder / "b.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: b}\n")
    (folder / "c.yaml").write_text(
        "apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: c, namespace: a}\n"
    )
    assert settle(source)
    state = source.state()
    assert state.problems == ()
    assert [remark.partition(",")[0].partition(":")[0] for remark in state.remarks] == [
        "1 document without apiVersion and kind is not a Kubernetes object and left out",
        "1 object names no namespace",
        "NetworkPolicy a/c",
    ]


def test_a_folder_is_read_as_it_was_asked_for(folder: Path) -> None:
    """Objects of no namespace in the one that was named, and without what is excluded."""
    (folder / "b.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: b}\n")
    (folder / "broken.yaml").write_text("{{ broken\n")
    source = FolderSource(folder, Kustomize(), namespace="shop", exclude=["broken*"])
    assert source.refresh()
    state = source.state()
    assert (state.problems, state.remarks) == ((), ())
    assert [service.ref.namespace for service in state.snapshot.every(Service)] == ["shop"]

"""A file that is replaced as a whole, or stays what it was."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from istio_netpol.cli.whole_file import whole_file


def test_the_file_is_replaced_with_the_rights_that_are_asked_for(tmp_path: Path) -> None:
    """Nothing else is left in the folder."""
    file = tmp_path / "known.json"
    file.write_text("old")
    with whole_file(file, 0o644) as stream:
        stream.write(b"new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [file]


def test_what_fails_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    """A full disk, or Ctrl-C."""
    file = tmp_path / "known.json"
    file.write_text("old")

    def write_half() -> None:
        with whole_file(file) as stream:
            stream.write(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]

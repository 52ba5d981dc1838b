"""What the tests of the bundle share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bundle.overlays import filled_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle with all values set."""
    return filled_tree(tmp_path_factory.mktemp("bundle"))

"""What all tests share: the `--update` option, golden files, how hard the laws are tried, and the fixtures of
a real API server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

pytest_plugins = ["tests.cluster.fixtures"]

Golden = Callable[[Path, str], None]

# Every run tries the same examples, so that a failure is the change's. Shared machines are slow at times,
# and a cluster takes a while to draw: neither is a failure.
settings.register_profile(
    "laws", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "search", settings.get_profile("laws"), max_examples=1000, derandomize=False, print_blob=True
)
settings.register_profile(
    "mutants", settings.get_profile("laws"), max_examples=15, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("laws")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Examples run before laws: they fail at once, and tell more."""
    items.sort(key=lambda item: hasattr(getattr(item, "obj", None), "hypothesis"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite golden files and generated pages")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares text with a file, byte for byte; with `--update` it writes the file instead."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
        assert path.is_file(), f"{path.name} is missing; run pytest with --update"
        assert text == path.read_bytes().decode("utf-8")

    return compare

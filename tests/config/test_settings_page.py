"""`docs/settings.md` says what the settings are."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conftest import Golden

from istio_netpol.config.reference import settings_page
from istio_netpol.config.settings_file import load_settings

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_up_to_date(golden: Golden) -> None:
    """The page in the repository is what the dataclasses say."""
    golden(PAGE, settings_page())


def test_every_setting_has_a_meaning() -> None:
    """No row of the page ends in an empty cell."""
    assert re.findall(r"^\| `(\w+)` .*\|  \|$", settings_page(), re.MULTILINE) == []


def test_no_two_settings_have_the_same_meaning() -> None:
    """Whoever looks one up reads what this one does, and how it differs from its neighbours."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.+) \|$", settings_page(), re.MULTILINE)
    meanings = [meaning for _, meaning in rows]
    assert len(rows) > 50
    assert sorted(name for name, meaning in rows if meanings.count(meaning) > 1) == []


def test_the_example_of_the_page_is_valid() -> None:
    """Whoever copies the example gets no error."""
    (example,) = re.findall(r"```yaml\n(.*?)```", settings_page(), re.DOTALL)
    assert load_settings(example, "example").hosts.known_addresses == {"keys.example.com": ("192.0.2.7",)}

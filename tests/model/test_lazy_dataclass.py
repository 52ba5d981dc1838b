"""Classes of `lazy_dataclass` are what the standard library would have made of them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import istio_netpol
from istio_netpol import lazy_dataclass

Decorator = Callable[..., Callable[[type], Any]]
BOTH = [dataclasses.dataclass, lazy_dataclass.dataclass]
FLAGS = [
    {"frozen": True, "slots": True},
    {"frozen": True, "slots": True, "eq": False},
    {"frozen": True, "slots": True, "order": True},
    {"frozen": True},
    {"slots": True},
    {},
]


def _place(decorator: Decorator, **flags: bool) -> Any:
    @decorator(**flags)
    class Place:
        """A place with every kind of field."""

        name: str
        port: int = 80
        tags: list[str] = dataclasses.field(default_factory=list)
        line: int = dataclasses.field(default=0, compare=False)
        secret: str = dataclasses.field(default="", repr=False)

        def __post_init__(self) -> None:
            if self.port < 0:
                raise ValueError(f"{self.port} is below 0")

    return Place


def _answer(call: Callable[[], Any]) -> Any:
    """What a call gives, or the kind of error that it raises, with its message where that comes from us."""
    try:
        return call()
    except (TypeError, ValueError, dataclasses.FrozenInstanceError) as error:
        return type(error), str(error) if isinstance(error, ValueError) else ""


@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_values_behave_as_those_of_the_standard_library(flags: dict[str, bool]) -> None:
    """Making, comparing, ordering, hashing, printing, replacing, changing and copying a value."""
    standard, ours = (_behaviour(_place(decorator, **flags)) for decorator in BOTH)
    assert ours == standard


def _behaviour(place: Any) -> list[Any]:
    one = place("shop", 443, ["a"], line=7, secret="s")
    return [
        repr(one),
        _answer(lambda: one == place("shop", 443, ["a"], secret="s")),
        _answer(lambda: one == place("shop", 443, ["b"], secret="s")),
        _answer(lambda: one == 1),
        _answer(lambda: one < place("shop", 444)),
        _answer(lambda: one >= place("shop", 444)),
        _answer(lambda: one < 1),
        _answer(lambda: hash(one) == hash(one)),
        _answer(lambda: setattr(one, "port", 1)),
        _answer(lambda: delattr(one, "port")),
        _answer(place),
        _answer(lambda: place("shop", -1)),
        _answer(lambda: place("shop", colour="red")),
        repr(dataclasses.replace(place("cart"), port=1)),
        place("cart").tags is place("cart").tags,
        dataclasses.astuple(place("cart")),
        repr(copy.copy(place("cart", 1))),
        repr(copy.deepcopy(place("cart", 1))),
        hasattr(place("cart"), "__dict__"),
        place.__match_args__,
        list(inspect.signature(place).parameters),
        place.__init__.__qualname__,
    ]


@pytest.mark.parametrize("decorator", BOTH)
def test_methods_of_a_class_itself_stay(decorator: Decorator) -> None:
    """A class may have its own equality, and then its own hash or none."""

    @decorator(frozen=True, slots=True)
    class Named:
        """Equal by name, whatever its case."""

        name: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Named) and self.name.lower() == other.name.lower()

        def __hash__(self) -> int:
            return hash(self.name.lower())

        def __repr__(self) -> str:
            return f"<{self.name}>"

    assert Named("Shop") == Named("shop")
    assert len({Named("Shop"), Named("shop")}) == 1
    assert repr(Named("Shop")) == "<Shop>"


@pytest.mark.parametrize("decorator", BOTH)
def test_fields_are_inherited(decorator: Decorator) -> None:
    """A derived class has the fields of both, and its values are not those of the class above."""

    @decorator(frozen=True)
    class Above:
        """One field."""

        name: str

    @decorator(frozen=True)
    class Below(Above):
        """Two."""

        port: int = 1

    class Beside(Above):
        """A class that no decorator saw."""

    assert repr(Below("a")).endswith("Below(name='a', port=1)")
    assert repr(Beside("a")).endswith("Beside(name='a')")
    assert Above("a") != Below("a")
    assert Above("a") != Beside("a")
    assert Above("a") == Above("a")


@lazy_dataclass.dataclass(frozen=True, slots=True)
class Pickled:
    """A value of a class that pickle finds by its name."""

    name: str
    port: int = 80


def test_values_are_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As frozen classes with slots are."""
    monkeypatch.setitem(sys.modules, Pickled.__module__, sys.modules.get(Pickled.__module__, inspect))
    monkeypatch.setattr(sys.modules[Pickled.__module__], "Pickled", Pickled, raising=False)
    assert pickle.loads(pickle.dumps(Pickled("shop", 1))) == Pickled("shop", 1)


def test_threads_that_need_a_method_at_once_all_get_it() -> None:
    """Each may write it; all of them make equal values."""
    place, made = _place(lazy_dataclass.dataclass, frozen=True, slots=True), []
    ready = threading.Barrier(8)

    def make() -> None:
        ready.wait(timeout=60)
        made.append(place("shop", 1, ()))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert made == [place("shop", 1, ())] * 8


def test_methods_are_written_once_and_only_when_they_are_used() -> None:
    """Or nothing would be gained."""
    place = _place(lazy_dataclass.dataclass, frozen=True, slots=True)
    written = [type(vars(place)[name]).__name__ for name in ("__init__", "__eq__")]
    first = place("shop").__init__.__func__
    assert written == ["_UnwrittenMethod", "_UnwrittenMethod"]
    assert vars(place)["__init__"] is first is place("cart").__init__.__func__
    assert type(vars(place)["__eq__"]).__name__ == "_UnwrittenMethod"


def test_our_own_classes_are_lazy() -> None:
    """A module that takes the standard decorator would make every command start later."""
    standard = re.compile(
        r"^from dataclasses import (?:.*[ ,(])?dataclass\b|^import dataclasses$", re.MULTILINE
    )
    package = Path(istio_netpol.__file__).parent
    found = [path for path in package.rglob("*.py") if standard.search(path.read_text(encoding="utf-8"))]
    assert found == [package / "lazy_dataclass.py"]

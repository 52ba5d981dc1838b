"""`dataclass` as the standard library has it, except that a method is written when it is first used.

The standard decorator compiles five to eight methods of every class when the class is defined. `check`
defines some 250 classes and uses a fraction of their methods; compiling all of them took a third of its time
on a few files. Fields, slots, `fields` and `replace` are those of the standard library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass"]

Method = Callable[..., Any]
Writer = Callable[[type], Method]


def _lazy_dataclass(
    cls: type | None = None,
    /,
    *,
    frozen: bool = False,
    slots: bool = False,
    eq: bool = True,
    order: bool = False,
) -> Any:
    """The class with the methods that follow from its fields; a method that it defines itself stays."""
    if cls is None:
        return lambda defined: _lazy_dataclass(defined, frozen=frozen, slots=slots, eq=eq, order=order)
    defined = {name for name, value in vars(cls).items() if value is not None}
    cls.__doc__ = cls.__doc__ or cls.__name__  # or the standard decorator writes one from the signature
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    for name, write in _writers(frozen=frozen, eq=eq, order=order).items():
        if name not in defined:
            setattr(made, name, _UnwrittenMethod(made, name, write))
    if eq and not frozen and "__hash__" not in defined:
        made.__hash__ = None
    if frozen:
        made.__setattr__ = made.__delattr__ = _refuse_change
    if frozen and slots:
        made.__getstate__, made.__setstate__ = _state, _restore
    return made


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _lazy_dataclass


class _UnwrittenMethod:
    """Stands in a class for a method, and replaces itself with it when somebody looks it up."""

    __slots__ = ("_name", "_owner", "_write")

    def __init__(self, owner: type, name: str, write: Writer) -> None:
        self._owner, self._name, self._write = owner, name, write

    def __get__(self, instance: object, _: type | None = None) -> Any:
        method: Any = self._write(self._owner)
        method.__qualname__ = f"{self._owner.__qualname__}.{self._name}"
        setattr(self._owner, self._name, method)
        return method if instance is None else method.__get__(instance)


def _writers(*, frozen: bool, eq: bool, order: bool) -> dict[str, Writer]:
    writers: dict[str, Writer] = {"__init__": _frozen_init if frozen else _plain_init, "__repr__": _repr}
    if eq:
        writers["__eq__"] = lambda cls: _comparison(cls, "__eq__", "==")
    if eq and frozen:
        writers["__hash__"] = _hash
    if order:
        writers["__lt__"] = lambda cls: _comparison(cls, "__lt__", "<")
        writers["__le__"] = lambda cls: _comparison(cls, "__le__", "<=")
        writers["__gt__"] = lambda cls: _comparison(cls, "__gt__", ">")
        writers["__ge__"] = lambda cls: _comparison(cls, "__ge__", ">=")
    return writers


def _plain_init(cls: type) -> Method:
    return _init(cls, "self.{name} = {value}")


def _frozen_init(cls: type) -> Method:
    return _init(cls, "_set(self, {name!r}, {value})")


def _init(cls: type, assignment: str) -> Method:
    given: dict[str, object] = {"_set": object.__setattr__, "_missing": dataclasses.MISSING}
    parameters, lines = ["self"], []
    for field in dataclasses.fields(cls):
        name = value = parameter = field.name
        if field.default_factory is not dataclasses.MISSING:
            given[f"_make_{name}"] = field.default_factory
            parameter, value = f"{name}=_missing", f"_make_{name}() if {name} is _missing else {name}"
        elif field.default is not dataclasses.MISSING:
            given[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
        parameters.append(parameter)
        lines.append(assignment.format(name=name, value=value))
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    return _written("__init__", parameters, lines or ["pass"], given)


def _comparison(cls: type, name: str, operator: str) -> Method:
    compared = f"{_compared('self', cls)} {operator} {_compared('other', cls)}"
    line = f"return {compared} if other.__class__ is self.__class__ else NotImplemented"
    return _written(name, ["self", "other"], [line], {})


def _hash(cls: type) -> Method:
    return _written("__hash__", ["self"], [f"return hash({_compared('self', cls)})"], {})


def _compared(owner: str, cls: type) -> str:
    """A tuple of what two values have in common when they are equal."""
    return (
        "(" + "".join(f"{owner}.{field.name}, " for field in dataclasses.fields(cls) if field.compare) + ")"
    )


def _repr(cls: type) -> Method:
    names = [field.name for field in dataclasses.fields(cls) if field.repr]

    def written(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return recursive_repr()(written)


def _written(
    name: str, parameters: Sequence[str], lines: Sequence[str], given: Mapping[str, object]
) -> Method:
    namespace = dict(given)
    exec("\n ".join((f"def {name}({', '.join(parameters)}):", *lines)), namespace)  # noqa: S102 - of field names
    method: Method = namespace[name]  # type: ignore[assignment]
    return method


def _refuse_change(self: object, name: str, *_: object) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"{type(self).__name__}.{name} can't be changed")


def _state(self: Any) -> list[object]:
    """What copies and pickles hold: without `__setstate__` they would assign to fields."""
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _restore(self: Any, state: Sequence[object]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)

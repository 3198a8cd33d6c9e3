"""Python's dataclass decorator, but for the functions that it compiles for each class while a program starts.

    from .dataclass import dataclass

    @dataclass(frozen=True)
    class File: ...

Python's own writes the text of up to six functions for each frozen class and compiles them at import: most of the time
that importing this package took. Here they are closures over a class's fields. All else is Python's: `fields`,
`replace`, `asdict`, pickle, copies, `==`, hashes, `repr` and signatures are the same. A call takes a microsecond more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(
        cls: type | None = None, /, *, frozen: bool = False, eq: bool = True, kw_only: bool = False
    ) -> type | Callable[[type], type]:
        """Make a class a dataclass: the decorator, with or without options."""

        def make(cls: type) -> type:
            own = set(vars(cls))
            cls = dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)
            fields = dataclasses.fields(cls)
            cls.__init__ = _initializer(cls, fields)
            if "__repr__" not in own:
                cls.__repr__ = _shower(tuple(field.name for field in fields if field.repr))
            if eq and "__eq__" not in own:
                values = _reader(tuple(field.name for field in fields if field.compare))
                cls.__eq__ = _comparer(values)
                if "__hash__" not in own:
                    cls.__hash__ = _hasher(values) if frozen else None
            if frozen:
                cls.__setattr__, cls.__delattr__ = _refuse_assignment, _refuse_deletion
            return cls

        return make if cls is None else make(cls)


class _Factory:
    """Stands in a signature for a default that is made anew for each object."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()
Fields = tuple["dataclasses.Field[Any]", ...]
Function = Callable[..., Any]


def _initializer(cls: type, fields: Fields) -> Function:
    """Return `__init__`, which fills the object's dictionary: a frozen object is written to once, by this."""
    known = sorted((field for field in fields if field.init), key=lambda field: bool(field.kw_only))
    positional = tuple(field.name for field in known if not field.kw_only)
    names = frozenset(field.name for field in known)
    values = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    factories: list[tuple[str, Function]] = []
    for field in fields:
        if field.default_factory is not dataclasses.MISSING:
            factories.append((field.name, field.default_factory))
    required = names - set(values) - {name for name, _ in factories}
    prepare = getattr(cls, "__post_init__", None)
    all_positional = len(positional) == len(fields)

    def __init__(self: Any, /, *args: Any, **given: Any) -> None:
        if all_positional and not given and len(args) == len(positional):  # soonest: answers have hundreds of boxes
            self.__dict__.update(zip(positional, args, strict=True))
            if prepare is not None:
                self.__post_init__()
            return
        found = dict(zip(positional, args, strict=False))
        doubtful = len(args) > len(found) or not names.issuperset(given) or not found.keys().isdisjoint(given)
        found.update(given)
        if doubtful or not required <= found.keys():
            _refuse_arguments(self, args, given)
        content = self.__dict__
        content.update(values)
        for name, make in factories:
            if name not in found:
                content[name] = make()
        content.update(found)
        if prepare is not None:
            self.__post_init__()

    __init__.__qualname__ = f"{cls.__qualname__}.__init__"
    __init__.__signature__ = Signature(  # type: ignore[attr-defined]
        [Parameter("self", Parameter.POSITIONAL_OR_KEYWORD), *map(_parameter, known)], return_annotation=None
    )
    return __init__


def _parameter(field: dataclasses.Field[Any]) -> Parameter:
    default = field.default
    if default is dataclasses.MISSING:
        default = Parameter.empty if field.default_factory is dataclasses.MISSING else _FACTORY
    kind = Parameter.KEYWORD_ONLY if field.kw_only else Parameter.POSITIONAL_OR_KEYWORD
    return Parameter(field.name, kind, default=default, annotation=field.type)


def _refuse_arguments(self: Any, args: tuple[Any, ...], given: dict[str, Any]) -> NoReturn:
    """Raise the TypeError that a call with these arguments deserves."""
    Signature.bind(type(self).__init__.__signature__, self, *args, **given)
    raise TypeError(f"{type(self).__name__}() cannot be called with {args}, {given}")


def _reader(names: tuple[str, ...]) -> Function:
    def read(self: Any) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in names])

    return read


def _comparer(values: Function) -> Function:
    def __eq__(self: Any, other: Any) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hasher(values: Function) -> Function:
    def __hash__(self: Any) -> int:
        return hash(values(self))

    return __hash__


def _shower(names: tuple[str, ...]) -> Function:
    def __repr__(self: Any) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

    return __repr__


def _refuse_assignment(self: Any, name: str, value: Any) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(self: Any, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")

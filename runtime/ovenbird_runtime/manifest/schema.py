"""Dataclasses as a schema: decode JSON strictly into them, encode them back, and emit their JSON Schema.

One definition gives all three, so that they cannot drift apart:

    from ovenbird_runtime.artifact.json_schema import json_schema

    @dataclass(frozen=True)
    class File:
        size: Annotated[int, Range(0, 10)]

    decode(File, {"size": 3}, "manifest.json")      # File(size=3); unknown fields, wrong types and ranges are refused
    json_schema(File, "A file")                     # {"type": "object", "properties": ...}

Supported: bool, int, float, str, Literal, X | None, unions, tuple[X, ...], dict[str, X], dataclasses, `Json`
(any JSON). A union of dataclasses is distinguished by their first field, a Literal.

Written by hand: a target installs nothing for it, and an artifact is a stranger's: each refusal names field, value and
limit in one line.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import types
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from ..dataclass import dataclass
from ..errors import ManifestInvalid, shown
from ..limits import MAX_JSON_DEPTH

T = TypeVar("T")
LEFT_OUT = {"left_out": True}
"""Metadata of a dataclass's field that JSON does not have where it holds nothing: other readers know it not."""
Json = Any
"""A field of any JSON value: strings, finite numbers, booleans, null, lists and objects of them."""


@dataclass(frozen=True)
class Range:
    """Bounds of a number, both included."""

    low: float
    high: float


@dataclass(frozen=True)
class Text:
    """A regular expression that a whole string must match, and its greatest length in characters."""

    pattern: str
    max_chars: int


@dataclass(frozen=True)
class Count:
    """How many items a tuple or a dict may have, and the pattern of a dict's keys."""

    low: int
    high: int
    keys: Text | None = None


@cache
def fields_of(cls: type) -> tuple[tuple[str, Any, bool], ...]:
    """Return (name, type with annotations, whether JSON must have it) for each field of a dataclass."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple(
        (f.name, hints[f.name], f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING)
        for f in dataclasses.fields(cls)
    )


@cache
def _left_out(cls: type) -> frozenset[str]:
    return frozenset(f.name for f in dataclasses.fields(cls) if f.metadata.get("left_out"))


def parse(data: bytes, where: str) -> Json:
    """Read JSON from bytes, refusing what Python's reader lets through: NaN, duplicate fields, absurd
    nesting, halves of surrogate pairs.

    Raises ManifestInvalid; `where` names the file in the message.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        _check_depth(value)
        if b"\\u" in data:  # "\\ud800" alone is no text: whoever writes or prints it would fail
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except (ValueError, RecursionError) as error:
        raise ManifestInvalid(f"{where}: not JSON that can be read: {error}") from None


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is given twice")
    return found


def _check_depth(value: Json) -> None:
    """Refuse what only a recursion without end could walk through, level by level."""
    level = [value]
    for _ in range(MAX_JSON_DEPTH + 1):
        level = [
            item
            for outer in level
            if isinstance(outer, (dict, list))
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise ValueError(f"nested deeper than {MAX_JSON_DEPTH} levels")


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


def decode(cls: type[T], value: Json, where: str) -> T:
    """Turn parsed JSON into an instance of the dataclass `cls`.

    Raises ManifestInvalid naming the field, its value and what was expected.
    """
    return cast(T, _decode(cls, value, where))


def _refuse(where: str, value: Json, expected: str) -> ManifestInvalid:
    return ManifestInvalid(f"{where} is {shown(value)}, expected {expected}")


def _decode(kind: Any, value: Json, where: str) -> Any:
    bound: Any = None
    if get_origin(kind) is Annotated:
        kind, bound = get_args(kind)[:2]
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_object(cast(type, kind), value, where)
    if origin is Literal:
        options = get_args(kind)
        if not isinstance(value, str) or value not in options:
            raise _refuse(where, value, "one of " + ", ".join(map(str, options)))
        return value
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(kind), value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _refuse(where, value, "a list")
        _check_count(bound, len(value), where)
        return tuple(_decode(get_args(kind)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        return _decode_dict(get_args(kind)[1], bound, value, where)
    return _decode_plain(kind, bound, value, where)


def _decode_object(cls: type, value: Json, where: str) -> Any:
    if not isinstance(value, dict):
        raise _refuse(where, value, "an object")
    known = fields_of(cls)
    unknown = sorted(set(value) - {name for name, _, _ in known})
    if unknown:
        raise ManifestInvalid(f"{where} has an unknown field {shown(unknown[0])}")
    missing = [name for name, _, required in known if required and name not in value]
    if missing:
        raise ManifestInvalid(f"{where} lacks the field {missing[0]!r}")
    return cls(**{name: _decode(kind, value[name], f"{where}.{name}") for name, kind, _ in known if name in value})


def _decode_union(options: tuple[Any, ...], value: Json, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    options = tuple(o for o in options if o is not type(None))
    if len(options) == 1:
        return _decode(options[0], value, where)
    if all(dataclasses.is_dataclass(o) for o in options):
        tag = fields_of(options[0])[0][0]
        by_tag = {get_args(fields_of(o)[0][1])[0]: o for o in options}
        name = value.get(tag) if isinstance(value, dict) else None
        if not isinstance(name, str) or name not in by_tag:
            raise _refuse(f"{where}.{tag}", name, "one of " + ", ".join(sorted(by_tag)))
        return _decode_object(by_tag[name], value, where)
    for option in options:
        try:
            return _decode(option, value, where)
        except ManifestInvalid:
            continue
    raise _refuse(where, value, "another kind of value (see the JSON Schema)")


def _decode_dict(kind: Any, bound: Count | None, value: Json, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refuse(where, value, "an object")
    _check_count(bound, len(value), where)
    if bound is not None and bound.keys is not None:
        for key in value:
            _check_text(bound.keys, key, f"a name in {where}")
    return {key: _decode(kind, item, f"{where}[{shown(key)}]") for key, item in value.items()}


def _decode_plain(kind: Any, bound: Any, value: Json, where: str) -> Any:
    if kind is Json:
        _check_finite(value, where)
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and number and isinstance(value, int):
        _check_range(bound, value, where)
        return value
    if kind is float and number:
        _check_finite(value, where)
        _check_range(bound, value, where)
        return float(value)
    if kind is str and isinstance(value, str):
        _check_text(bound, value, where)
        return value
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}
    raise _refuse(where, value, names.get(kind, "a value"))


def _check_count(bound: Count | None, count: int, where: str) -> None:
    if bound is not None and not bound.low <= count <= bound.high:
        raise ManifestInvalid(f"{where} has {count} items, expected {bound.low} to {bound.high}")


def _check_range(bound: Range | None, value: float, where: str) -> None:
    if bound is not None and not bound.low <= value <= bound.high:
        raise _refuse(where, value, f"{bound.low:g} to {bound.high:g}")


def _check_text(bound: Text | None, value: str, where: str) -> None:
    if bound is None:
        return
    if len(value) > bound.max_chars:
        raise ManifestInvalid(f"{where} has {len(value)} characters, limit {bound.max_chars}")
    if not re.fullmatch(bound.pattern, value, re.DOTALL):
        raise _refuse(where, value, f"text like {bound.pattern}")


def _check_finite(value: Json, where: str) -> None:
    """Refuse infinities (1e999) and integers beyond 64 bits anywhere inside a JSON value."""
    if isinstance(value, dict):
        for item in value.values():
            _check_finite(item, where)
    elif isinstance(value, list):
        for item in value:
            _check_finite(item, where)
    elif isinstance(value, float) and not math.isfinite(value):
        raise _refuse(where, value, "a finite number")
    elif isinstance(value, int) and abs(value) >= 1 << 63:
        raise _refuse(where, value, "a number of 64 bits")


def encode(value: Any) -> Json:
    """Turn a dataclass back into JSON values, fields in the order of their definition."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind: type = type(value)
        names = [name for name, _, _ in fields_of(kind) if name not in _left_out(kind) or getattr(value, name)]
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return value


def dump(value: Json) -> bytes:
    """Write JSON the one way that artifacts use: indented by two, UTF-8, a final newline; refuses NaN."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")

"""What the expressions of an example are, as far as annotations tell, and whether its calls fit.

reader = Reader(lambda name, called: vars(module).get(name, UNKNOWN), checked)
reader.read(ast.parse("costs = Costs({1: 2.0}, largest=8); costs.padding(3)").body)
checked.bound                # 2
"""

from __future__ import annotations

import ast
import collections.abc
import contextlib
import inspect
import types
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

UNKNOWN = object()
"""An expression that nothing is known of."""
OURS = ("ovenbird", "ovenbird_runtime")


@dataclass(frozen=True)
class Instance:
    """An object of a class."""

    cls: type


class Tally(Protocol):
    """Where calls and problems are counted."""

    bound: int
    skipped: list[str]
    problems: list[str]


class Reader:
    """Reads statements in order and keeps what their names are."""

    def __init__(self, look_up: Callable[[str, bool], Any], tally: Tally) -> None:
        """`look_up(name, called)` gives what a name means that no statement assigned."""
        self._look_up, self._tally = look_up, tally
        self._names: dict[str, Any] = {}

    def read(self, body: Sequence[ast.stmt]) -> None:
        """Read statements; what is within functions and classes too."""
        for statement in body:
            self._read(statement)

    def _read(self, node: ast.stmt) -> None:
        match node:
            case ast.Import(names=names):
                for alias in names:
                    value = self._module(alias.name)
                    self._names[alias.asname or alias.name.split(".")[0]] = (
                        value if alias.asname or "." not in alias.name else self._module(alias.name.split(".")[0])
                    )
            case ast.ImportFrom(module=str(name), names=names):
                module = self._module(name)
                for alias in names:
                    self._names[alias.asname or alias.name] = self._imported(module, name, alias.name)
            case ast.Assign(targets=targets, value=value):
                found = self.infer(value)
                for target in targets:
                    self._assign(target, found)
            case ast.With(items=items, body=inner) | ast.AsyncWith(items=items, body=inner):
                for item in items:
                    found = self.infer(item.context_expr)
                    if item.optional_vars is not None:
                        self._assign(item.optional_vars, entered(found))
                self.read(inner)
            case ast.For(target=target, iter=of, body=inner) | ast.AsyncFor(target=target, iter=of, body=inner):
                self.infer(of)
                self._assign(target, UNKNOWN)
                self.read(inner)
            case ast.FunctionDef(args=args, body=inner) | ast.AsyncFunctionDef(args=args, body=inner):
                self._names[node.name] = UNKNOWN
                for arg in (*args.args, *args.kwonlyargs):
                    known = self.infer(arg.annotation) if arg.annotation is not None else UNKNOWN
                    self._names[arg.arg] = Instance(known) if inspect.isclass(known) else UNKNOWN
                self.read(inner)
            case ast.ClassDef(name=name):
                self._names[name] = UNKNOWN
                self.read(node.body)
            case _:
                for child in ast.iter_child_nodes(node):
                    if isinstance(child, ast.stmt):
                        self._read(child)
                    elif isinstance(child, ast.ExceptHandler):
                        self.read(child.body)
                    elif isinstance(child, ast.expr):
                        self.infer(child)

    def _module(self, name: str) -> Any:
        try:
            return __import__(name, fromlist=["_"])
        except ImportError as error:
            if name.partition(".")[0] in OURS:  # of others, what is not installed is not looked at
                self._tally.problems.append(f"import {name}: {error}")
            return UNKNOWN

    def _imported(self, module: Any, name: str, attribute: str) -> Any:
        if module is UNKNOWN:
            return UNKNOWN
        if hasattr(module, attribute):
            return getattr(module, attribute)
        with contextlib.suppress(ImportError):
            return __import__(f"{name}.{attribute}", fromlist=["_"])
        self._tally.problems.append(f"{name} has no {attribute}")
        return UNKNOWN

    def _assign(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = (
                value if isinstance(value, tuple) and len(value) == len(target.elts) else [UNKNOWN] * len(target.elts)
            )
            for one, part in zip(target.elts, parts, strict=True):
                self._assign(one, part)

    def infer(self, node: ast.expr) -> Any:
        """Return what an expression is: an object, an Instance, a tuple of these, or UNKNOWN; count its calls."""
        match node:
            case ast.Name(id=name):
                return self._names[name] if name in self._names else self._look_up(name, False)
            case ast.Attribute(value=value, attr=name):
                return self._attribute(self.infer(value), name)
            case ast.Call():
                return self._call(node)
            case ast.Constant(value=value):
                return Instance(type(value))
            case ast.Await(value=value):
                return self.infer(value)
            case ast.Tuple(elts=parts):
                return tuple(self.infer(part) for part in parts)
            case ast.Lambda():
                return UNKNOWN
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return UNKNOWN
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self.infer(child)
        return UNKNOWN

    def _attribute(self, owner: Any, name: str) -> Any:
        if owner is UNKNOWN or isinstance(owner, tuple):
            return UNKNOWN
        if not isinstance(owner, Instance):
            if hasattr(owner, name):
                return getattr(owner, name)
            with contextlib.suppress(ImportError, AttributeError):
                return __import__(f"{owner.__name__}.{name}", fromlist=["_"])
            self._tally.problems.append(f"{getattr(owner, '__name__', owner)} has no {name}")
            return UNKNOWN
        known, kind = attribute_of(owner.cls, name)
        if not known:
            self._tally.problems.append(f"{owner.cls.__name__} has no {name}")
        return kind

    def _call(self, node: ast.Call) -> Any:
        function = self.infer(node.func)
        if function is UNKNOWN and isinstance(node.func, ast.Name) and node.func.id not in self._names:
            function = self._look_up(node.func.id, True)
        arguments = [self.infer(arg.value if isinstance(arg, ast.Starred) else arg) for arg in node.args]
        for keyword in node.keywords:
            self.infer(keyword.value)
        words = ast.unparse(node.func)
        if function is UNKNOWN or isinstance(function, (Instance, tuple)) or not callable(function):
            if isinstance(node.func, ast.Name) and node.func.id not in self._names:
                self._tally.problems.append(f"there is no {words}(")
            self._tally.skipped.append(words)
            return UNKNOWN
        try:
            signature = inspect.signature(function)
        except (ValueError, TypeError):  # a builtin that does not tell
            self._tally.skipped.append(words)
            return UNKNOWN
        # an ellipsis stands for further arguments
        partial = any(isinstance(arg, ast.Starred) or ast.unparse(arg) == "..." for arg in node.args)
        partial = partial or any(keyword.arg is None for keyword in node.keywords)
        given = [
            value
            for arg, value in zip(node.args, arguments, strict=True)
            if ast.unparse(arg) != "..." and not isinstance(arg, ast.Starred)
        ]
        named = {keyword.arg: None for keyword in node.keywords if keyword.arg is not None}
        try:
            (signature.bind_partial if partial else signature.bind)(*given, **named)
        except TypeError as error:
            self._tally.problems.append(f"{words}: {error}")
        self._tally.bound += 1
        return result_of(function)


class Bound:
    """A method of an instance: what is called takes no `self`."""

    def __init__(self, function: Any) -> None:
        self.function = function
        signature = inspect.signature(function)
        self.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])

    def __call__(self) -> None:
        """Only so that it counts as callable."""


def attribute_of(cls: type, name: str) -> tuple[bool, Any]:
    """Whether objects of a class have an attribute, and what it is."""
    found = inspect.getattr_static(cls, name, UNKNOWN)
    if isinstance(found, property):
        return True, result_of(found.fget)
    if isinstance(found, (staticmethod, classmethod)):
        return True, getattr(cls, name)
    if inspect.isfunction(found):
        return True, Bound(found)
    hints = _hints(cls)
    if name in hints:
        return True, kind_of(hints[name])
    if any(name in vars(base).get("__annotations__", {}) for base in cls.__mro__):
        return True, UNKNOWN  # the annotation names what only type checkers import
    if found is not UNKNOWN or hasattr(cls, "__getattr__"):
        return True, UNKNOWN
    return any(name in _assigned(base) for base in cls.__mro__), UNKNOWN


def _assigned(cls: type) -> set[str]:
    """The attributes that a class's methods assign; everything may be one where its source is not to be had."""
    try:
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return set()
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def _hints(thing: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(thing)
    except Exception:  # noqa: BLE001 - a name that only type checkers see
        return {}


def result_of(function: Any) -> Any:
    """What a call gives, by the annotation."""
    if inspect.isclass(function):
        return Instance(function)
    function = function.function if isinstance(function, Bound) else function
    return kind_of(_hints(inspect.unwrap(function)).get("return", UNKNOWN))


def kind_of(hint: Any) -> Any:
    """What an annotation says, None left out of a union."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        others = [one for one in arguments if one is not type(None)]
        return kind_of(others[0]) if len(others) == 1 else UNKNOWN
    if origin is tuple and Ellipsis not in arguments:
        return tuple(kind_of(one) for one in arguments)
    if origin in (collections.abc.Iterator, collections.abc.Generator, contextlib.AbstractContextManager):
        return Instance(Yielded) if not arguments else _yielded(kind_of(arguments[0]))
    return Instance(hint) if inspect.isclass(hint) and hint.__module__.partition(".")[0] in OURS else UNKNOWN


class Yielded:
    """What a context manager that is a function gives when it is entered."""

    value: Any = UNKNOWN


def _yielded(value: Any) -> Any:
    return Instance(type("Yielded", (Yielded,), {"value": value, "__getattr__": None}))


def entered(value: Any) -> Any:
    """What `with value as ...` gives."""
    if not isinstance(value, Instance):
        return UNKNOWN
    if issubclass(value.cls, Yielded):
        return value.cls.value
    found = inspect.getattr_static(value.cls, "__enter__", None)
    return kind_of(_hints(found).get("return", UNKNOWN)) if found is not None else UNKNOWN

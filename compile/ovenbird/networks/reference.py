"""What the word MODEL on the command line names, read from its text alone: nothing is imported and nothing is opened.

    reference = parse_reference("nets/mine.py:build(size=320)")
    reference.kind, reference.place, reference.name       # "callable", "nets/mine.py", "build"
    reference.arguments.keywords                          # {"size": 320}

Arguments are Python literals, read by `ast`: numbers, strings, True, None, lists, tuples, dicts. Nothing is evaluated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ovenbird.errors import UsageError
from ovenbird.limits import MAX_ARGUMENT_CHARACTERS
from ovenbird.networks.files.paths import check_path
from ovenbird_runtime.artifact.names import model_name_from
from ovenbird_runtime.errors import shown

ReferenceKind = Literal["built-in", "callable", "package", "file"]
CFG = ".cfg"
"""darknet's networks; their weights are a file of their own."""
FILES = (".onnx", ".pt2", CFG)
PACKAGES = ("torchvision", "timm", "hf")
"""Prefixes of networks that an installed package brings: `torchvision:NAME`, `timm:NAME`, `hf:NAME`."""

_NAME = r"[^\W\d]\w*"
_CALLABLE = re.compile(
    rf"(?P<place>.+?\.py|{_NAME}(?:\.{_NAME})*):(?P<name>{_NAME}(?:\.{_NAME})*)(?P<call>\(.*\))?", re.DOTALL
)
_PACKAGE = re.compile(rf"(?P<place>{'|'.join(PACKAGES)}):(?://)?(?P<name>[^()]*)(?P<call>\(.*\))?", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_./\-]*")
_NO_WORDS = ("true", "false", "null", "nan", "inf")
"""What other languages take for values: as strings they would surprise."""


@dataclass(frozen=True)
class CallArguments:
    """What a callable is called with."""

    positional: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The arguments as Python writes them, without brackets."""
        return ", ".join([*map(repr, self.positional), *(f"{name}={value!r}" for name, value in self.keywords.items())])

    def __bool__(self) -> bool:
        return bool(self.positional or self.keywords)


@dataclass(frozen=True)
class Reference:
    """One network's place: a built-in name, a callable of the user's, a package's network, or a file."""

    kind: ReferenceKind
    text: str
    """As the user wrote it."""
    name: str
    """The built-in's, the callable's dotted name, the package's network, or the file's path."""
    place: str = ""
    """The module or `.py` file of a callable, or the package's prefix."""
    arguments: CallArguments = field(default_factory=CallArguments)

    @property
    def path(self) -> Path:
        """The file, of kind "file"."""
        return Path(self.name)

    @property
    def model_name(self) -> str:
        """The model's name where the user gives none."""
        if self.kind == "file":
            return model_name_from(self.path.stem)
        if self.kind == "built-in":
            return self.name.replace("-", "_")
        place = Path(self.place).stem if self.place.endswith(".py") else self.place
        return model_name_from("-".join(filter(None, (place, self.name.strip("./"), self.arguments.text))))


def parse_reference(text: str, keywords: Mapping[str, Any] | None = None) -> Reference:
    """Read MODEL; `keywords` are the arguments that `--arg` gave. Raises UsageError."""
    check_path("MODEL", text.partition("(")[0])
    if found := _PACKAGE.fullmatch(text):
        kind: ReferenceKind = "package"
        if not found["name"]:
            raise UsageError(f"{text}: give a name after the colon, as in {found['place']}:resnet18")
    elif found := _CALLABLE.fullmatch(text):
        kind = "callable"
    else:
        if keywords:
            raise UsageError(f"--arg is for module:callable, {shown(text)} is none")
        kind = "file" if Path(text).suffix.lower() in FILES else "built-in"
        check_path("MODEL", text)
        return Reference(kind, text, text)
    arguments = parse_arguments(text, found["call"] or "()")
    twice = sorted(set(arguments.keywords) & set(keywords or {}))
    if twice:
        raise UsageError(f"--arg {twice[0]}: {text} gives it, too")
    arguments = CallArguments(arguments.positional, {**arguments.keywords, **(keywords or {})})
    return Reference(kind, text, found["name"], found["place"], arguments)


def parse_arguments(text: str, call: str) -> CallArguments:
    """Read `(1, size=320)` as literals; `text` is what an error names. Raises UsageError."""
    if len(call) > MAX_ARGUMENT_CHARACTERS:
        raise UsageError(f"the arguments have {len(call)} characters, limit {MAX_ARGUMENT_CHARACTERS}")
    try:
        tree = ast.parse(f"f{call}", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{shown(text)}: these are no arguments: {type(error).__name__}") from None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise UsageError(f"{shown(text)}: one call is expected, as in mynets:build(size=320)")
    positional = tuple(_literal(text, f"argument {place}", node) for place, node in enumerate(tree.args, 1))
    if any(keyword.arg is None for keyword in tree.keywords):
        raise UsageError(f"{shown(text)}: arguments by ** are not read; write each")
    names = [str(keyword.arg) for keyword in tree.keywords]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{shown(text)}: {twice[0]} is given twice")
    return CallArguments(positional, {str(one.arg): _literal(text, str(one.arg), one.value) for one in tree.keywords})


def parse_keywords(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Read what `--arg` gave, `size=320`; a bare word is a string. Raises UsageError."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--arg {shown(pair)}: expected NAME=VALUE, as in size=320")
        if name in found:
            raise UsageError(f"--arg {name} is given twice")
        if len(value) > MAX_ARGUMENT_CHARACTERS:
            raise UsageError(f"--arg {name} has {len(value)} characters, limit {MAX_ARGUMENT_CHARACTERS}")
        found[name] = _value(name, value.strip())
    return found


def _value(name: str, text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        if _WORD.fullmatch(text) and text.lower() not in _NO_WORDS:
            return text
        raise UsageError(f"--arg {name}: {shown(text)} is no Python literal: 320, 1e-3, True, 'text', [1, 2]") from None


def _literal(text: str, name: str, node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise UsageError(
            f"{shown(text)}: {name} is no Python literal; give a number, a string, True, None, or a list of them"
        ) from None

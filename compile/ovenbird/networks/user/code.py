"""Python code of the user's: found, imported, called; a fault of it is one line that names the user's own line.

    target = import_target(parse_reference("nets/mine.py:build"))
    made = call_target("nets/mine.py:build", target, CallArguments(keywords={"size": 320}))

What it prints goes to standard error: standard output is the command's.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ovenbird.errors import NetworkUnreadable, UsageError, suggest
from ovenbird.networks.reference import CallArguments, Reference
from ovenbird.networks.torchvision import import_torchvision
from ovenbird_runtime.errors import OvenbirdError

NAMED_IN_A_MESSAGE = 8


def import_target(reference: Reference) -> Any:
    """Import what `module:callable` or `file.py:callable` names. Raises NetworkUnreadable."""
    import_ = _import_file if reference.place.endswith(".py") else _import_module
    try:
        module = import_(reference)
    except NetworkUnreadable as error:
        if "operator torchvision::" not in str(error):
            raise
        import_torchvision()  # next to a torch that it was not built for: it can be helped
        module = import_(reference)
    target: Any = module
    for part in reference.name.split("."):
        if not hasattr(target, part):
            owner = reference.place if target is module else getattr(target, "__name__", type(target).__name__)
            public = [name for name in vars(target) if not name.startswith("_")] if hasattr(target, "__dict__") else []
            near = suggest(part, public) or _listed("; it has", defined_names(module) if target is module else public)
            raise NetworkUnreadable(f"{reference.text}: {owner} has no {part!r}{near}")
        target = getattr(target, part)
    return target


def call_target(text: str, target: Callable[..., Any], arguments: CallArguments) -> Any:
    """Call a function or a class of the user's. Raises UsageError for arguments that do not fit, NetworkUnreadable."""
    _check_arguments(text, target, arguments)
    with users_code(text):
        return target(*arguments.positional, **arguments.keywords)


@contextlib.contextmanager
def users_code(text: str) -> Iterator[None]:
    """Run code of the user's: what it raises becomes NetworkUnreadable with its own message and line."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except OvenbirdError:
        raise
    except SystemExit as error:
        raise NetworkUnreadable(f"{text}: ended the program, sys.exit({error.code!r}){own_line(error)}") from error
    except Exception as error:
        raise NetworkUnreadable(f"{text}: {type(error).__name__}: {said(error)}{own_line(error)}") from error


def said(error: BaseException) -> str:
    """Return the first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def own_line(error: BaseException) -> str:
    """Return ` (mynets.py:12)`, the innermost line that no installed package has; of a syntax error, its place."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f" ({Path(error.filename).name}:{error.lineno})"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<") and not _is_installed(Path(frame.filename))
    ]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""


def _is_installed(path: Path) -> bool:
    """Return whether a file is a package's, the standard library's, or the compiler's own."""
    standard = Path(traceback.__file__).parent
    return (
        any(part in ("site-packages", "dist-packages") for part in path.parts)
        or standard in path.parents
        or Path(__file__).parents[2] in path.parents  # ovenbird
    )


def defined_names(module: ModuleType) -> list[str]:
    """Return what a module itself defines and a network may be made by: its functions, classes and modules."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and (callable(value) and getattr(value, "__module__", "") == module.__name__)
    ]


def _import_module(reference: Reference) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    importlib.invalidate_caches()
    with users_code(reference.text):
        try:
            return importlib.import_module(reference.place)
        except ModuleNotFoundError as error:
            if not f"{reference.place}.".startswith(f"{error.name}."):
                raise  # one that the user's module imports
            raise _not_found(reference, str(error.name)) from None


def _not_found(reference: Reference, name: str) -> NetworkUnreadable:
    here = [path.stem for path in sorted(Path.cwd().glob("*.py"))]
    near = suggest(name, here) or _listed("; the folder has", [f"{stem}.py" for stem in here])
    return NetworkUnreadable(
        f"{reference.text}: no module {name!r}: searched the current folder, {Path.cwd()}, and the installed packages"
        f"{near}; a file elsewhere is given by its path, as in folder/{name.rpartition('.')[2]}.py:{reference.name}"
    )


def _import_file(reference: Reference) -> ModuleType:
    """Import a file by its path, its folder on the path; one inside a package as a part of that package."""
    path = Path(reference.place)
    if not path.is_file():
        near = suggest(path.name, [other.name for other in path.parent.glob("*.py")])
        what = "a folder" if path.is_dir() else "no file"
        raise NetworkUnreadable(f"{reference.text}: {what} at {path.absolute()}{near}")
    path = path.absolute()
    root, name = path.parent, path.stem
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        root, name = root.parent, f"{root.name}.{name}"
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    with users_code(reference.text):
        if "." in name:
            module = importlib.import_module(name)
            if _is_file(module, path):
                return module
        elif (loaded := sys.modules.get(name)) is not None and _is_file(loaded, path):
            return loaded
        return _load(name, path)


def _is_file(module: ModuleType, path: Path) -> bool:
    found = getattr(module, "__file__", None)
    return found is not None and Path(found).exists() and Path(found).samefile(path)


def _load(name: str, path: Path) -> ModuleType:
    """Load a file under its own name, or another where a module has that name (a user's `test.py`, `resnet.py`)."""
    taken = name in sys.modules or name in sys.stdlib_module_names or not name.isidentifier()
    name = f"_user_{name}" if taken else name
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _check_arguments(text: str, target: Callable[..., Any], arguments: CallArguments) -> None:
    """Refuse arguments that the callable does not take, and name those that it needs. Raises UsageError."""
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return  # written in C: the call says it
    parameters = list(signature.parameters.values())
    names = [one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    anything = any(one.kind is one.VAR_KEYWORD for one in parameters)
    for name in arguments.keywords:
        if name not in names and not anything:
            near = suggest(name, names) or _listed("; it takes", names) or "; it takes none"
            raise UsageError(f"{text} takes no argument {name!r}{near}")
    try:
        bound = signature.bind_partial(*arguments.positional, **arguments.keywords)
    except TypeError as error:
        raise UsageError(f"{text}: {error}; it takes ({', '.join(map(str, parameters))})") from None
    missing = [
        one.name
        for one in parameters
        if one.name not in bound.arguments
        and one.default is one.empty
        and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if missing:
        call = ", ".join(f"{name}=..." for name in missing)
        raise UsageError(
            f"{text} needs {', '.join(missing)}: give {text.partition('(')[0]}({call}), or --arg {missing[0]}=VALUE"
        )


def _listed(what: str, names: list[str]) -> str:
    """Return `; it has a, b and 3 more`, or nothing."""
    if not names:
        return ""
    more = len(names) - NAMED_IN_A_MESSAGE
    return f"{what} {', '.join(names[:NAMED_IN_A_MESSAGE])}" + (f" and {more} more" if more > 0 else "")

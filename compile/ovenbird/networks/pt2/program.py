"""The graph of a `.pt2` file: JSON whose text torch resolves, evaluates and writes into Python code.

    clean = check_program(archive.read("models/model.json", most), "net.pt2")

Three places run what the text says: an operator is looked up from `torch` (`torch.os.system` is one), a symbolic
dimension is evaluated by sympy, and guards and names become lines of generated code. So operators and dimensions
must be on our lists, names must be names, and guards and notes, which compiling does not need, are left out.
"""

from __future__ import annotations

import json
import keyword
import re
from typing import Any

from ovenbird.errors import NetworkUnreadable, NetworkUnsafe
from ovenbird.networks.pt2.expressions import check_expression

HIGHER_ORDER = frozenset({"cond", "wrap_with_set_grad_enabled", "wrap_with_autocast"})
"""Operators over subgraphs, which this module sees as well."""
REACHES_OUT = frozenset({"from_file", "save", "warn", "_print"})
"""aten's operators that touch more than tensors."""
QUANTIZERS = frozenset(f"{way}_per_{unit}" for way in ("quantize", "dequantize") for unit in ("tensor", "channel"))
"""Operators of programs that torch's quantizers wrote."""
SCALAR_OPERATORS = frozenset({
    *(f"_operator.{name}" for name in (
        "add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pos", "abs", "getitem", "index",
        "eq", "ne", "lt", "le", "gt", "ge", "and_", "or_", "not_",
    )),
    *(f"math.{name}" for name in ("ceil", "floor", "trunc", "sqrt")),
    *(f"torch.{name}" for name in (
        "sym_int", "sym_float", "sym_max", "sym_min", "sym_not", "sym_ite", "sym_sum", "sym_fresh_size",
        "_sym_sqrt",
    )),
})  # fmt: skip
CONTAINERS = frozenset({
    None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict", "collections.deque",
})  # fmt: skip
"""Trees of inputs and outputs. `defaultdict` is not one: its context names a module to import."""

TABLES_BY_NAME = frozenset({
    "tensor_values", "sym_int_values", "sym_float_values", "sym_bool_values", "custom_obj_values",
    "range_constraints", "opset_version",
})  # fmt: skip
"""Objects whose keys are names that the user's code gave."""
NATIVE_OBJECTS = ("as_custom_obj", "custom_obj", "class_fqn")
NAMES = ("name", "as_name", "forward_arg_names")


def check_program(data: bytes, what: str) -> bytes:
    """Return the graph rebuilt, with nothing in it that could run. Raises NetworkUnsafe, NetworkUnreadable."""
    try:
        document = json.loads(data)
        if not isinstance(document, dict):
            raise ValueError("no object")
        return json.dumps(_checked(document, "")).encode()
    except NetworkUnsafe as error:
        raise NetworkUnsafe(f"{what}: {error}") from None
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise NetworkUnreadable(f"{what}: its graph is no JSON that torch writes: {error}") from None


def _checked(value: Any, key: str) -> Any:
    """Check what stands under `key`, and everything in it."""
    if isinstance(value, dict):
        if key == "metadata":  # where in the user's source each operator comes from
            return {}
        named = key in TABLES_BY_NAME
        return {_safe(name, "key"): _checked(item, "" if named else name) for name, item in value.items()}
    if key == "guards_code":  # checks of inputs, as Python
        return []
    if isinstance(value, list):
        return [_checked(item, key) for item in value]
    if key in NATIVE_OBJECTS and value is not None:
        raise NetworkUnsafe(f"it holds an object of C++ ({key})")
    if isinstance(value, str):
        _check_text(value, key)
    return value


def _check_text(text: str, key: str) -> None:
    if key in ("target", "as_operator"):
        check_operator(text)
    elif key == "expr_str":
        check_expression(text)
    elif key in ("in_spec", "out_spec"):
        _check_tree(text, arguments=key == "in_spec")
    elif key in NAMES:
        check_path(text)
        if text and (not text.isascii() or not text.isidentifier() or keyword.iskeyword(text)):
            raise NetworkUnsafe(f"{text[:60]!r} is no name")
    elif key not in ("as_string", "as_strings"):  # those are values, which torch writes with their quotes
        check_path(_safe(text, key))


def check_path(text: str) -> None:
    """Raise NetworkUnsafe for a tensor's place that leads through Python's own attributes (`__class__.forward`)."""
    if any(part.startswith("__") and part.endswith("__") for part in text.split(".")):
        raise NetworkUnsafe(f"{text[:60]!r} is no place of a tensor")


def check_operator(target: str) -> None:
    """Raise NetworkUnsafe for anything but torch's own operators on tensors, and arithmetic on sizes."""
    if target in SCALAR_OPERATORS:
        return
    found = re.fullmatch(r"torch\.ops\.(\w+)\.([A-Za-z]\w*|_[a-z]\w*)(?:\.([A-Za-z]\w*|_[a-z]\w*))?", target, re.ASCII)
    if found:
        namespace, name, overload = found.groups()
        if namespace == "higher_order" and overload is None and name in HIGHER_ORDER:
            return
        if namespace in ("aten", "prims") and overload is not None and name not in REACHES_OUT:
            _check_overload(target, namespace, name, overload)
            return
        if namespace == "quantized_decomposed" and name in QUANTIZERS:
            from torch.ao.quantization.fx import _decomposed  # noqa: F401 - declares the operators

            _check_overload(target, namespace, name, overload or "default")
            return
    raise NetworkUnsafe(f"it calls {target[:80]!r}, which is no operator on tensors")


def _check_overload(target: str, namespace: str, name: str, overload: str) -> None:
    """Raise NetworkUnsafe where the name is that of an attribute of torch's, not of an operator."""
    import torch

    packet = getattr(getattr(torch.ops, namespace), name, None)
    if not isinstance(getattr(packet, overload, None), torch._ops.OpOverload):
        raise NetworkUnsafe(f"it calls {target[:80]!r}, which this torch does not have")


def _check_tree(text: str, arguments: bool) -> None:
    """Check the JSON that says how inputs or outputs are nested; inputs are (args, kwargs)."""

    def look(node: Any, depth: int) -> None:
        if isinstance(node, list):
            for item in node:
                look(item, depth)
        elif isinstance(node, dict):
            if node.get("type") not in CONTAINERS:
                raise NetworkUnsafe(f"its inputs or outputs are nested in {str(node.get('type'))[:60]!r}")
            if "dict" in str(node.get("type")).lower():
                for name in json.loads(node.get("context") or "[]"):
                    _safe(str(name), "key of a dict")
                    if arguments and depth == 1 and not str(name).isidentifier():
                        raise NetworkUnsafe(f"{str(name)[:60]!r} is no name of an argument")
            look(node.get("children_spec", []), depth + 1)

    look(json.loads(text), 0)


def _safe(text: str, key: str) -> str:
    """Return the text if it can stand between quotes in code. Raises NetworkUnsafe."""
    if not text.isprintable() or any(mark in text for mark in "\"'\\"):
        raise NetworkUnsafe(f"its {key} {text[:60]!r} holds quotes, a backslash or a line end")
    return text

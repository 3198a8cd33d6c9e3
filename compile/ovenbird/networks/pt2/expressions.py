"""Symbolic dimensions of a program, as text: torch gives them to sympy, which evaluates text as Python.

    check_expression("Add(Symbol('s77', positive=True, integer=True), Integer(1))")

Parsed here by `ast`, and refused unless every node is arithmetic on symbols: no attribute, no subscript, no call of
anything but sympy's constructors and torch's functions of whole numbers.
"""

from __future__ import annotations

import ast
import re

from ovenbird.errors import NetworkUnsafe
from ovenbird.limits import MAX_EXPRESSION_CHARACTERS, MAX_EXPRESSION_POWER

BARE_SYMBOL = r"[a-z]{1,4}[0-9]{1,6}"
QUOTED = r"[A-Za-z_][A-Za-z_0-9]{0,63}|[0-9.eE+-]{1,32}"
"""A symbol's name, or a number that sympy reads."""
ASSUMPTIONS = frozenset({"positive", "negative", "nonnegative", "integer", "real", "zero", "evaluate", "precision"})
MAX_PRECISION_BITS = 64
CONSTRUCTORS = frozenset({
    "Symbol", "Integer", "Float", "Rational", "Add", "Mul", "Pow", "Mod", "Max", "Min",
    "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Equality", "Unequality", "And", "Or", "Not",
    "LessThan", "StrictLessThan", "GreaterThan", "StrictGreaterThan", "Where", "floor", "ceiling",
    "FloorDiv", "CleanDiv", "CeilDiv", "ModularIndexing", "PythonMod", "FloorToInt", "CeilToInt", "TruncToInt",
    "RoundToInt", "ToFloat", "TruncToFloat", "IntTrueDiv", "FloatTrueDiv",
})  # fmt: skip
CONSTANTS = frozenset({"true", "false", "oo", "int_oo"})
NODES = (
    ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant,
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare,
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.USub, ast.UAdd, ast.Not, ast.And, ast.Or,
    ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE,
)  # fmt: skip


def check_expression(text: str) -> None:
    """Raise NetworkUnsafe for a dimension that is more than arithmetic on symbols."""
    if len(text) > MAX_EXPRESSION_CHARACTERS or not text.isascii() or not text.isprintable():
        raise NetworkUnsafe(
            f"the dimension {text[:60]!r} has {len(text)} characters, limit {MAX_EXPRESSION_CHARACTERS}"
        )
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NetworkUnsafe(f"the dimension {text[:60]!r} is no expression") from None
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not _allowed(node, id(node) in called):
            raise NetworkUnsafe(f"the dimension {text[:60]!r} is more than arithmetic ({type(node).__name__})")


def _allowed(node: ast.AST, called: bool) -> bool:
    if not isinstance(node, NODES):
        return False
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and (
            node.func.id != "Pow" or (len(node.args) == 2 and _small(node.args[0], node.args[1]))
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _small(node.left, node.right)
    if isinstance(node, ast.Name):
        if called:
            return node.id in CONSTRUCTORS
        # a symbol by its bare name; `sympy` has functions under many names, but none of torch's symbols' form
        return node.id in CONSTANTS or re.fullmatch(BARE_SYMBOL, node.id) is not None
    if isinstance(node, ast.keyword):
        few = isinstance(node.value, ast.Constant) and node.value.value in range(MAX_PRECISION_BITS + 1)
        return node.arg in ASSUMPTIONS and (node.arg != "precision" or few)
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            return re.fullmatch(QUOTED, node.value) is not None
        return isinstance(node.value, (bool, int, float))
    return True


def _small(base: ast.expr, exponent: ast.expr) -> bool:
    """Return whether an exponent is a small constant, and no power is in the base: sympy
    computes 10**10**10 at once.
    """
    if any(isinstance(node, ast.Pow) or (isinstance(node, ast.Name) and node.id == "Pow") for node in ast.walk(base)):
        return False
    if isinstance(exponent, ast.Call) and len(exponent.args) == 1:
        exponent = exponent.args[0]
    if isinstance(exponent, ast.UnaryOp) and isinstance(exponent.op, ast.USub):
        exponent = exponent.operand
    return (
        isinstance(exponent, ast.Constant)
        and isinstance(exponent.value, int)
        and 0 <= exponent.value <= MAX_EXPRESSION_POWER
    )

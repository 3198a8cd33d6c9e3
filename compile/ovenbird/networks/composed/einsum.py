"""Einstein's sums as permutations and one matrix product for each further operand.

einsum(emit, "bhid,bhjd->bhij", [query, key])
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from ovenbird.operators.writing.own import spec_of

Emit = Callable[[Any], Any]


@dataclass(frozen=True)
class Term:
    """A tensor with a letter for each axis, all different."""

    letters: str
    value: Any

    @property
    def extents(self) -> dict[str, int]:
        """The extent of each letter."""
        return dict(zip(self.letters, spec_of(self.value).shape, strict=True))


def einsum(emit: Emit, equation: str, operands: Sequence[Any]) -> Any:
    """Return the sum that an equation says. Raises ValueError for one that does not fit its operands."""
    inputs, output = parse(equation, [len(spec_of(operand).shape) for operand in operands])
    terms = [diagonal(emit, letters, operand) for letters, operand in zip(inputs, operands, strict=True)]
    done = terms[0]
    for index, term in enumerate(terms[1:], 1):
        later = output + "".join(each.letters for each in terms[index + 1 :])
        done = contract(emit, done, term, later)
    done = summed(emit, done, output)
    return arranged(emit, done, output).value


def parse(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Return the letters of each operand and of the output, dots written out as letters that are not used yet."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ranks):
        raise ValueError(f"{equation!r} has {len(inputs)} operands, the operator {len(ranks)}")
    free = [letter for letter in string.ascii_letters if letter not in equation]
    spare = [rank - len(each.replace("...", "")) for each, rank in zip(inputs, ranks, strict=True)]
    most = max([extra for extra, each in zip(spare, inputs, strict=True) if "..." in each], default=0)
    dots = "".join(free[:most])
    letters = [
        each.replace("...", dots[most - extra :]) if extra else each.replace("...", "")
        for each, extra in zip(inputs, spare, strict=True)
    ]
    if any(len(each) != rank for each, rank in zip(letters, ranks, strict=True)):
        raise ValueError(f"{equation!r} does not fit operands of {list(ranks)} axes")
    if arrow:
        return letters, right.replace("...", dots)
    once = sorted(letter for letter in set(left) if letter.isalpha() and left.count(letter) == 1)
    return letters, dots + "".join(once)


def diagonal(emit: Emit, letters: str, value: Any) -> Term:
    """Return an operand whose letters are all different: of one that has a letter twice, the diagonal."""
    while repeated := next((letter for letter in letters if letters.count(letter) > 1), None):
        first = letters.index(repeated)
        second = letters.index(repeated, first + 1)
        shape = spec_of(value).shape
        order = [axis for axis in range(len(shape)) if axis not in (first, second)]
        moved = emit(relax.op.permute_dims(value, [*order, first, second]))
        rest, extent = [shape[axis] for axis in order], shape[first]
        flat = emit(relax.op.reshape(moved, (*rest, extent * extent)))
        value = emit(relax.op.take(flat, relax.const(np.arange(extent, dtype=np.int64) * (extent + 1)), len(rest)))
        letters = "".join(letters[axis] for axis in order) + repeated
    return Term(letters, value)


def summed(emit: Emit, term: Term, kept: str) -> Term:
    """Return a term summed over the letters that nobody reads any more."""
    axes = [axis for axis, letter in enumerate(term.letters) if letter not in kept]
    if not axes:
        return term
    letters = "".join(letter for letter in term.letters if letter in kept)
    return Term(letters, emit(relax.op.sum(term.value, axes)))


def arranged(emit: Emit, term: Term, letters: str) -> Term:
    """Return a term with its axes in the order of `letters`, those that it lacks of one element."""
    here = "".join(letter for letter in letters if letter in term.letters)
    value, extents = term.value, term.extents
    if here != term.letters:
        value = emit(relax.op.permute_dims(value, [term.letters.index(letter) for letter in here]))
    if here != letters:
        value = emit(relax.op.reshape(value, tuple(extents.get(letter, 1) for letter in letters)))
    return Term(letters, value)


def contract(emit: Emit, left: Term, right: Term, later: str) -> Term:
    """Return the product of two terms, summed over the letters that both have and nobody reads later."""
    left = summed(emit, left, right.letters + later)
    right = summed(emit, right, left.letters + later)
    ones, twos = left.extents, right.extents
    # A letter of one element broadcasts: it counts as missing where the other operand has more.
    shared = [each for each in left.letters if each in twos and ones[each] == twos[each]]
    broad = [each for each in left.letters if each in twos and ones[each] != twos[each]]
    left = without(emit, left, [each for each in broad if ones[each] == 1])
    right = without(emit, right, [each for each in broad if twos[each] == 1])
    batch = "".join(each for each in shared if each in later)
    inner = "".join(each for each in shared if each not in later)
    rows = "".join(each for each in left.letters if each not in shared)
    columns = "".join(each for each in right.letters if each not in shared)
    extents = {**right.extents, **left.extents}

    def size(letters: str) -> int:
        return math.prod(extents[letter] for letter in letters)

    one = emit(
        relax.op.reshape(arranged(emit, left, batch + rows + inner).value, (size(batch), size(rows), size(inner)))
    )
    two = emit(
        relax.op.reshape(
            arranged(emit, right, batch + inner + columns).value, (size(batch), size(inner), size(columns))
        )
    )
    if not inner:
        product = emit(relax.op.multiply(one, two))
    elif not batch:
        flat = [emit(relax.op.reshape(each, spec_of(each).shape[1:])) for each in (one, two)]
        product = emit(relax.op.matmul(*flat))
    else:
        product = emit(relax.op.matmul(one, two))
    letters = batch + rows + columns
    done = Term(letters, emit(relax.op.reshape(product, tuple(extents[letter] for letter in letters))))
    return summed(emit, done, later)


def without(emit: Emit, term: Term, letters: list[str]) -> Term:
    """Return a term without axes of one element."""
    if not letters:
        return term
    kept = "".join(letter for letter in term.letters if letter not in letters)
    extents = term.extents
    return Term(kept, emit(relax.op.reshape(term.value, tuple(extents[letter] for letter in kept))))

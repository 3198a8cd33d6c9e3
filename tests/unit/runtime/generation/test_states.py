"""Slots of states: rows follow one another, move into holes, and go to the beams that go on from them."""

from __future__ import annotations

import numpy as np

from ovenbird_runtime.generation.states import StateBank
from ovenbird_runtime.manifest.generation import KeptState, Use

STATES = {"keys": KeptState("float32", (2, 4), 1, (Use("step", "keys"),), (Use("step", "key"),))}


def filled(*values: float) -> StateBank:
    """Return a bank whose slots hold a row alike in all, then one of a value each."""
    bank = StateBank(STATES, 4)
    for value in values:
        slot = bank.take()
        bank.append("keys", slot, np.full((2, 1), 9, np.float32))
        bank.append("keys", slot, np.full((2, 1), value, np.float32))
    return bank


def second(bank: StateBank) -> list[float]:
    """Return the second row of each slot in use."""
    assert (bank.array("keys")[: bank.used, :, 0] == 9).all()
    return [float(slot[0, 1]) for slot in bank.array("keys")[: bank.used]]


def test_beams_take_the_rows_of_those_they_go_on_from() -> None:
    bank = filled(1, 2, 3)
    bank.reorder([0, 1, 2], [2, 0, 0], {"keys": 1})
    assert second(bank) == [3, 1, 1]
    bank.reorder([2, 0], [1, 0], {"keys": 1})  # slots in the order of the search's rows
    assert second(bank) == [1, 1, 3]


def test_the_last_moves_into_the_hole() -> None:
    bank = filled(1, 2, 3)
    assert bank.drop(0) == 2
    assert second(bank) == [3, 2]
    assert bank.drop(1) == 1
    bank.clear(0)
    assert not bank.array("keys")[0].any()
    assert bank.rows("keys", 0) == 0

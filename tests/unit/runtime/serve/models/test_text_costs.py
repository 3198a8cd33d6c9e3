"""What texts are reckoned to take: by their pictures and tokens, whatever the order in which they begin and end."""

from __future__ import annotations

import pytest

from ovenbird_runtime.serve.models.text_costs import TextCosts

PICTURE, STEP, MORE = 0.36, 0.006, 0.0008
"""Seconds of GIT base on two cores: a picture; a step of one text, and of each one more."""


def test_a_burst_is_not_reckoned_dearer_than_it_is() -> None:
    """All pictures of a burst are looked at before its first text ends: that one did not take so long."""
    costs, spent = TextCosts(PICTURE, STEP, 20), 0.0
    for begun in range(1, 17):
        costs.began(PICTURE)
        step = STEP + MORE * (begun - 1)
        costs.stepped(step, begun)
        spent += PICTURE + step
        assert costs.seconds(64, 20) <= 64 * (PICTURE + 20 * STEP) * 1.001
    for _ in range(20):
        costs.stepped(STEP + MORE * 15, 16)
        spent += STEP + MORE * 15
    assert costs.seconds(16, 20) == pytest.approx(spent, rel=0.1)


def test_longer_texts_take_longer() -> None:
    costs = TextCosts(PICTURE, STEP, 20)
    assert costs.seconds(2, 40) - costs.seconds(2, 20) == pytest.approx(2 * 20 * STEP)


def test_a_busy_machine_is_learned_within_some_texts() -> None:
    costs = TextCosts(PICTURE, STEP, 20)
    for _ in range(30):
        costs.began(3 * PICTURE)
        costs.stepped(3 * STEP, 1)
    assert costs.seconds(1, 20) == pytest.approx(3 * (PICTURE + 20 * STEP), rel=0.05)

"""Which tokens of a text count as others than the framework's."""

from __future__ import annotations

import pytest

from ovenbird.verify.texts import agreement_of


def test_nothing_is_compared_behind_the_first_other_token() -> None:
    right = [(1, 5, 6, 7), (1, 5, 6, 7), (1, 5, 2), (1, 5, 6, 7)]
    own = [(1, 5, 6, 7), (1, 5, 9, 9), (1, 5, 6, 7), (1, 5, 6)]
    found = agreement_of(own, right, begin=1)
    assert found.document() == {"texts": 4, "same": 1, "compared": 3 + 2 + 2 + 3, "differ": 3}
    assert found.share == pytest.approx(0.3)
    assert "1 of 4" in found.line()
    assert "3 differ (30.0%)" in found.line()

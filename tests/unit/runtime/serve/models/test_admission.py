"""Permits: what is let in, what is refused, and that everything is given back."""

from __future__ import annotations

import time

import pytest

from ovenbird_runtime.engine.processors import Processors, ProcessorShare, lone_share
from ovenbird_runtime.serve.errors import DeadlineExceeded, QueueFull
from ovenbird_runtime.serve.http.errors import BadRequest
from ovenbird_runtime.serve.models.admission import Admission


def soon(seconds: float = 2.0) -> float:
    return time.monotonic() + seconds


def test_permits_are_counted_and_given_back_once() -> None:
    admission = Admission(3, lambda rows: 0.0, lone_share())
    permits = [admission.take(1, soon()) for _ in range(3)]
    with pytest.raises(QueueFull, match="3 images are waiting, limit 3") as caught:
        admission.take(1, soon())
    assert caught.value.retry_after == 1
    permits[0].release()
    permits[0].release()
    assert admission.rows == 2
    admission.take(1, soon()).release()


def test_what_cannot_be_in_time_is_refused_now() -> None:
    admission = Admission(1000, lambda rows: rows[()] * 0.1, lone_share())
    held = [admission.take(1, soon(2.0)) for _ in range(12)]
    while admission.rows < 20:
        try:
            held.append(admission.take(1, soon(2.0)))
        except QueueFull as error:
            message = str(error)
            break
    assert "would take" in message
    assert 12 < len(held) < 20
    admission.take(1, soon(60.0))  # who allows more time is let in


@pytest.mark.parametrize(("share", "taken"), [(0.70, True), (0.80, False)])
def test_three_quarters_of_the_time_may_be_filled(share: float, taken: bool) -> None:
    admission = Admission(1000, lambda rows: share * 50 * rows[()], lone_share())
    admission.take(1, soon(100))
    if taken:
        admission.take(1, soon(100))
    else:
        with pytest.raises(QueueFull, match="would take"):
            admission.take(1, soon(100))


def test_wrong_estimate_locks_nobody_out() -> None:
    admission = Admission(1000, lambda rows: 1e9, lone_share())
    permit = admission.take(1, soon())
    with pytest.raises(QueueFull):
        admission.take(1, soon())
    permit.release()
    admission.take(1, soon()).release()


def test_expired_and_oversized_requests() -> None:
    admission = Admission(10, lambda rows: 0.0, lone_share())
    with pytest.raises(DeadlineExceeded):
        admission.take(1, time.monotonic() - 1)
    with pytest.raises(BadRequest, match="11 images"):
        admission.take(11, soon())
    assert admission.rows == 0


def test_what_other_models_promised_counts_unless_they_took_more_than_their_part() -> None:
    owner = Processors(2)
    one, two = (Admission(1000, lambda rows: rows[()] * 0.1, ProcessorShare(owner)) for _ in range(2))
    while one.rows < 30:
        try:
            one.take(1, soon(2.0))
        except QueueFull:
            break
    assert 12 <= one.rows <= 15  # 1.5 s of 2
    permits = [two.take(1, soon(2.0)) for _ in range(7)]  # a half of that, which makes 0.75 s
    with pytest.raises(QueueFull, match="with what other models do would take"):
        two.take(1, soon(2.0))
    with pytest.raises(QueueFull):
        one.take(1, soon(2.0))
    for permit in permits:
        permit.release()
    assert owner._promises.first_of({two.share}) is None

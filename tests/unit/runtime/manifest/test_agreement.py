"""The one rule by which answers are judged: what it refuses, what it lets pass, and that it knows no absolute size."""

from typing import Any

import numpy as np
import pytest

from ovenbird_runtime.manifest.agreement import LIMITS, Difference, compare, join_rows

F32 = LIMITS["f32"]
ROWS, CLASSES = 12, 50
RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.standard_normal((ROWS, CLASSES)).astype(np.float32)
NOISE = RANDOM.standard_normal((ROWS, CLASSES))


def softmax(logits: Any) -> Any:
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


def off_by(right: Any, share: float) -> Any:
    """Add errors of that root mean square, as a share of each channel's spread, but by rounding."""
    noise = NOISE[: len(right), : right.shape[1]]
    unit = np.abs(right).max()
    spread = (right / unit).astype(np.float64).std(axis=0) * unit
    return (right + share * spread * noise / np.sqrt(np.square(noise).mean())).astype(right.dtype)


KINDS = {
    "logits": LOGITS,
    "tiny": LOGITS * np.float32(1e-7),
    "huge": LOGITS * np.float32(1e12),
    "near the least float": (LOGITS * 1e-30).astype(np.float32),
    "probabilities": softmax(np.float32(0.05) * RANDOM.standard_normal((ROWS, 2000)).astype(np.float32))[:, :CLASSES],
    "double": LOGITS.astype(np.float64) * 1e200,
    "with a constant 3000": np.concatenate([LOGITS, np.full((ROWS, 1), 3000, np.float32)], 1)[:, -CLASSES:],
    "channels from 1 to 1e-5": LOGITS * np.logspace(0, -5, CLASSES, dtype=np.float32)[::-1],
}


@pytest.mark.parametrize("right", KINDS.values(), ids=KINDS)
def test_errors_are_shares_of_the_outputs_own_spread(right: Any) -> None:
    found = compare(off_by(right, F32.rms / 3), right, F32)
    assert found.fault == ""
    assert F32.rms / 5 < found.rms <= F32.rms / 2
    refused = compare(off_by(right, F32.rms * 3), right, F32)
    assert "of its own spread (rms), limit 0.0001" in refused.fault


@pytest.mark.parametrize("right", KINDS.values(), ids=KINDS)
def test_a_percent_more_is_refused(right: Any) -> None:
    assert "of its own spread" in compare((right * 1.01).astype(right.dtype), right, F32).fault


@pytest.mark.parametrize("right", KINDS.values(), ids=KINDS)
def test_answers_that_do_not_depend_on_the_input_are_refused(right: Any) -> None:
    given = np.repeat(right.mean(axis=0, keepdims=True), ROWS, axis=0).astype(right.dtype)
    assert compare(given, right, F32).fault == f"is the same for {ROWS} different inputs, the reference is not"


@pytest.mark.parametrize("precision", ["f32", "f16", "bf16", "int8"])
def test_no_precision_excuses_answers_that_hardly_depend_on_the_input(precision: Any) -> None:
    given = LOGITS.mean(axis=0, keepdims=True) + np.float32(0.1) * LOGITS
    assert "of its own spread" in compare(given, LOGITS, LIMITS[precision]).fault


def test_one_wrong_number_is_found_among_many() -> None:
    right = np.tile(LOGITS, 40)
    given = right.copy()
    given[3, 7] += 2 * F32.peak * LOGITS[:, 7].std()
    found = compare(given, right, F32)
    assert found.rms < F32.rms
    assert "(peak), limit 0.002" in found.fault


def test_a_part_may_hide_behind_no_other() -> None:
    """A detector's boxes in pixels stand next to its probabilities, along the second axis or along the last."""
    boxes, scores = 640 * RANDOM.random((4, 4, 30)), 0.02 * RANDOM.random((4, 20, 30))
    right = np.concatenate([boxes, scores], axis=1).astype(np.float32)
    given = right.copy()
    given[:, 4:] *= 1.01
    for axes in ((0, 1, 2), (0, 2, 1)):
        assert compare(right.transpose(axes), right.transpose(axes), F32).fault == ""
        assert "of its own spread" in compare(given.transpose(axes), right.transpose(axes), F32).fault


def test_what_never_moves_is_held_to_its_own_size() -> None:
    right = np.concatenate([LOGITS, np.full((ROWS, 1), 3000, np.float32), np.zeros((ROWS, 1), np.float32)], axis=1)
    for place, error, refused in ((-2, 1e-3, False), (-2, 3.0, True), (-1, 1e-6, False), (-1, 0.01, True)):
        given = right.copy()
        given[:, place] += np.float32(error)
        assert bool(compare(given, right, F32).fault) is refused, (place, error)


def test_answers_that_never_move_are_held_to_the_size_of_their_siblings() -> None:
    """A network of random weights may say the same of everything: a small one of its logits is a sum of large parts."""
    right = np.repeat(LOGITS[:1] / 3, ROWS, axis=0)
    right[:, 0] = 1e-4
    for error, refused in ((1.5e-7, False), (1e-4, True)):
        given = right.copy()
        given[:, 0] += np.float32(error)
        given += np.float32(error) * NOISE[:1]
        assert bool(compare(given, right, F32).fault) is refused, error


def test_a_loud_row_is_held_to_its_own_spread() -> None:
    right = LOGITS.copy()
    right[0] *= 1000
    given = right.copy()
    given[0] += 3 * F32.rms * NOISE[0]  # a thousandth of what it may be
    assert compare(given, right, F32).fault == ""


def test_small_differences_of_large_answers_may_be_rounded() -> None:
    """Answers of about 100 that move by 0.01: float32 itself is off by a thousandth of that."""
    right = (100 + 0.01 * LOGITS).astype(np.float32)
    rounded = (right.view(np.int32) + RANDOM.integers(-2, 3, right.shape)).astype(np.int32).view(np.float32)
    assert compare(rounded, right, F32).fault == ""
    assert compare((100 + 0.01 * 1.05 * LOGITS).astype(np.float32), right, F32).fault


def test_a_number_near_zero_that_only_rounds_does_not_move() -> None:
    """A network whose answers hardly depend on its input: a few of them are the rest of a sum, and its rounding."""
    random = np.random.default_rng(3)
    level = np.linspace(-0.3, 0.3, 1001)[None].repeat(8, axis=0)  # two in a thousand lie below 0.001
    right, given = ((level + 2e-8 * random.standard_normal(level.shape)).astype(np.float32) for _ in range(2))
    found = compare(given, right, F32)
    assert (found.fault, found.blind) == ("", True)
    moved = (level * (1 + 1e-3 * random.standard_normal((8, 1)))).astype(np.float32)
    assert not compare(moved, moved, F32).blind


def test_where_the_reference_never_moves_it_is_said() -> None:
    still = np.repeat(LOGITS[:1], ROWS, axis=0)
    assert compare(still, still, F32) == Difference(blind=True)
    assert not compare(LOGITS, LOGITS, F32).blind
    whole = np.full((3, 2), 7)
    assert compare(whole, whole, F32).blind
    assert compare(LOGITS, still, F32).fault


def test_zeros_agree_with_next_to_nothing() -> None:
    zero = np.zeros((3, 4), np.float32)
    assert compare(zero, zero, F32).fault == ""
    assert compare(zero + np.float32(1e-8), zero, F32).fault == ""
    assert compare(zero + np.float32(1e-3), zero, F32).fault


@pytest.mark.parametrize(
    "shape", [(8,), (8, 1), (8, 1, 1), (8, 3, 1, 1), (8, 1, 5), (8, 2, 3, 4, 5), (1, 40), (1, 4, 9)]
)
def test_every_shape_is_compared(shape: tuple[int, ...]) -> None:
    right = RANDOM.standard_normal(shape).astype(np.float32)
    assert compare(right, right, F32) == compare(right.copy(), right, F32)
    assert compare(right + np.float32(1e-6), right, F32).fault == ""
    assert compare(right * np.float32(1.01), right, F32).fault
    assert compare(np.zeros_like(right), right, F32).fault


def test_one_input_alone_is_judged_by_its_own_spread() -> None:
    """What its numbers differ by stands in for what they would have moved by; a constant does not widen that."""
    right = np.append(softmax(LOGITS[:1]), np.float32([[3000]]), axis=1)
    assert compare(right, right, F32).fault == ""
    assert compare(np.append(softmax(0 * LOGITS[:1]), np.float32([[3000]]), axis=1), right, F32).fault
    assert not compare(right, right, F32).blind
    half = np.concatenate([right[:, :50], np.full((1, 40), 3000, np.float32)], axis=1)
    wrong = half.copy()
    wrong[:, :50] = 1 / 50
    assert compare(half, half, F32).fault == ""
    assert compare(wrong, half, F32).fault


def test_a_single_number_is_held_to_its_size() -> None:
    for value in (3.0, -1e-9, 1e9):
        right = np.array([value], np.float32)
        assert compare(right * np.float32(1 + 1e-7), right, F32).fault == ""
        assert compare(right * np.float32(1.01), right, F32).fault


def test_nothing_is_nothing() -> None:
    assert compare(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), F32) == Difference()


def test_shape_and_dtype_must_be_the_same() -> None:
    assert compare(LOGITS[:1], LOGITS, F32).fault == "is float32[1, 50], expected float32[12, 50]"
    assert compare(LOGITS.astype(np.float64), LOGITS, F32).fault.startswith("is float64")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_stand_in_the_same_places(value: float) -> None:
    right = LOGITS.copy()
    right[2, 5], right[:, 9] = value, value
    assert compare(right, right, F32).fault == ""
    assert compare((right * 1.01).astype(np.float32), right, F32).fault
    other = np.where(np.isfinite(right), right, -right if np.isinf(value) else np.inf).astype(np.float32)
    for given in (LOGITS, np.full_like(LOGITS, value), -right, other):
        if not np.array_equal(given, right, equal_nan=True):
            assert compare(given, right, F32).fault
    assert "not finite where" in compare(right, LOGITS, F32).fault


def test_nan_agrees_with_nan_alone() -> None:
    right = np.full((3, 4), np.nan, np.float32)
    assert compare(right, right, F32).fault == ""
    assert compare(np.zeros_like(right), right, F32).fault


def test_whole_numbers_are_equal() -> None:
    ids = np.array([[2**53, 5], [2**62, 7]])
    assert compare(ids, ids, F32).fault == ""
    assert compare(ids + np.array([[1, 0], [0, 0]]), ids, F32).fault.startswith("differs in 1 of 4 numbers")
    flags = RANDOM.random((4, 100)) < 0.5
    assert compare(~flags, flags, F32).fault.startswith("differs in 400 of 400")
    assert compare(np.zeros_like(ids), ids, F32).fault.startswith("is the same for 2 different inputs")


def test_near_ties_may_turn_in_a_large_map() -> None:
    right = RANDOM.integers(0, 20, (2, 100, 100))
    given = right.copy()
    given[0, 0, :10] += 1
    assert compare(given, right, F32).fault == ""
    given[0, :2] += 1
    assert compare(given, right, F32).fault.startswith("differs in ")


def test_levels_may_be_rounded_to_the_next() -> None:
    right = RANDOM.integers(1, 255, (2, 100, 100)).astype(np.uint8)
    given = right.copy()
    given[0, 0] += 1  # a hundred of 20,000
    assert compare(given, right, F32).fault == ""
    given[0, 0] += 1
    assert compare(given, right, F32).fault.startswith("differs in 100")
    assert compare(np.clip(right * 1.01, 0, 255).astype(np.uint8), right, F32).fault


def test_rows_of_several_answers() -> None:
    assert join_rows([LOGITS[:2], LOGITS[2:]], True).shape == LOGITS.shape
    assert join_rows([LOGITS, LOGITS], False).shape == (2, *LOGITS.shape)


def test_tolerance_moves_all_limits() -> None:
    loose = F32.for_tolerance(F32.rms * 4)
    assert (loose.rms, loose.peak, loose.offset) == (F32.rms * 4, F32.peak * 4, F32.offset)
    assert F32.for_tolerance(None) is F32
    assert compare(off_by(LOGITS, F32.rms * 3), LOGITS, loose).fault == ""


def test_the_large_shares_among_thousands_are_rounded_as_large_numbers_are() -> None:
    random = np.random.default_rng(7)
    logits = 2 * random.standard_normal((4, 10, 6000))
    logits[:, np.arange(10), random.integers(0, 6000, 10)] += 20
    right = softmax(logits)
    signs = random.choice([-1, 1], right.shape)
    assert compare((right * (1 + 3e-5 * signs)).astype(np.float32), right, F32).fault == ""
    assert "is off by" in compare((right * (1 + 1e-4 * signs)).astype(np.float32), right, F32).fault

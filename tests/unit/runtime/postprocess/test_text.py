"""Lines of text out of probabilities of characters."""

from __future__ import annotations

import numpy as np
import pytest

from ovenbird_runtime.manifest.answers import Ctc, answers_problem
from ovenbird_runtime.manifest.manifest import TensorSpec
from ovenbird_runtime.options import PredictOptions
from ovenbird_runtime.postprocess.kind import Asked
from ovenbird_runtime.postprocess.text import TEXTS, read_line
from ovenbird_runtime.predicting.predict import line_size

LABELS = ("<blank>", "a", "b", " ")


def places(text: str) -> np.ndarray:
    """Return probabilities at which the characters of `text` win; `-` is no character."""
    found = np.full((len(text), 4), 0.1, np.float32)
    for place, character in enumerate(text):
        found[place, "-ab ".index(character)] = 0.7
    return found


@pytest.mark.parametrize(
    ("along", "text"),
    [("a", "a"), ("aaa", "a"), ("a-a", "aa"), ("-ab-", "ab"), ("aab b", "ab b"), ("---", ""), ("a--bb--b", "abb")],
)
def test_runs_count_once_and_blanks_part_them(along: str, text: str) -> None:
    found = read_line(places(along), LABELS, 0)
    assert (found.text, found.confidence) == (text, pytest.approx(0.7 if text else 0.0))


def test_every_row_is_a_line() -> None:
    step = Ctc(output="p", labels="labels.txt")
    outputs = {"p": np.stack([places("a-b"), places("bb-")])}
    found = TEXTS.answers(step, outputs, Asked(PredictOptions(), {"p": LABELS}))
    assert [one.text for one in found] == ["ab", "b"]
    assert TEXTS.to_json(found[0]) == {"text": "ab", "confidence": pytest.approx(0.7)}
    assert TEXTS.lines("p", found[0]) == ["ab  70.0 %"]


@pytest.mark.parametrize(
    ("spec", "blank", "message"),
    [
        (TensorSpec("p", "float32", ("N", 4)), 0, "a line of text is float32"),
        (TensorSpec("p", "int64", ("N", 9, 4)), 0, "a line of text is float32"),
        (TensorSpec("p", "float32", ("N", 9, 4)), 4, "has 4 classes, the blank is class 4"),
        (TensorSpec("p", "float32", ("N", "?", 4)), 0, None),
    ],
)
def test_what_is_no_line_is_refused(spec: TensorSpec, blank: int, message: str | None) -> None:
    step = Ctc(output="p", labels="labels.txt", blank=blank)
    found = answers_problem((step,), {"p": spec}, {"labels.txt": None})
    assert (found is None) == (message is None)
    assert message is None or message in str(found)


def test_a_line_goes_to_the_narrowest_size_that_holds_it() -> None:
    sizes = ((48, 320), (48, 640), (48, 160))
    assert [line_size(sizes, width) for width in (1.0, 3.4, 10.0, 30.0)] == [sizes[2], sizes[0], sizes[1], sizes[1]]

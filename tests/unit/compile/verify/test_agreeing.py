"""Agreement of answers in low precision: classes, noise, and the refusal that names a layer."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ovenbird.errors import VerificationFailed
from ovenbird.verify.agreeing import Agreement, agreement_of
from ovenbird.verify.cases import Case
from ovenbird.verify.disagreement import check_disagreement
from ovenbird.verify.texts import TokenAgreement
from ovenbird.verify.verifying import Verification
from ovenbird_runtime.manifest.agreement import LIMITS
from ovenbird_runtime.manifest.manifest import Classification, TensorSpec

RIGHT = np.eye(4, 10, dtype=np.float32) * 3 + np.arange(10, dtype=np.float32) / 10


def network(*postprocess: Any) -> Any:
    spec = TensorSpec("logits", "float32", ("N", 10))
    return SimpleNamespace(outputs=(spec,), postprocess=postprocess)


def agreement(given: np.ndarray, photographs: bool = True) -> Agreement:
    cases = [Case("one", {}, photographs), Case("noise", {})]
    right, noise = {"logits": RIGHT}, {"logits": RIGHT + 100}
    answers = {"one": {"logits": given}, "noise": noise}
    return agreement_of(network(Classification(output="logits")), cases, answers, {"one": right, "noise": noise})


def test_classes_are_counted_on_photographs() -> None:
    given = RIGHT.copy()
    given[0, 5] = 9
    found = agreement(given)
    assert (found.photographs, found.top1) == (4, 0.75)
    assert found.top5 == pytest.approx((0.8 + 3) / 4)  # one class came into the five of one row


def test_noise_is_in_decibels() -> None:
    found = agreement(RIGHT * np.float32(1.1))
    assert found.sqnr_db["logits"] == pytest.approx(20, abs=0.1)
    assert found.top1 == found.top5 == 1
    assert agreement(RIGHT).sqnr_db["logits"] == 200


def test_rows_of_numbers_are_scores_where_nothing_says_what_they_are() -> None:
    cases = [Case("one", {})]
    found = agreement_of(network(), cases, {"one": {"logits": RIGHT}}, {"one": {"logits": RIGHT}})
    assert (found.photographs, found.top1) == (0, 1.0)


def verification(found: Agreement, boxes: tuple[int, int] | None = None) -> Verification:
    return Verification(LIMITS["int8"], {}, None, 0, 0, {}, boxes, found)


def test_a_variant_that_disagrees_more_is_refused_with_its_noisiest_layer() -> None:
    found = verification(Agreement(100, 0.97, 0.99))
    check_disagreement("host-int8", "main", found, 0.03, lambda: "conv2d 3 of 54")
    with pytest.raises(VerificationFailed, match=r"in 3\.0% of its most probable classes, limit 1\.0%.*conv2d 3 of 54"):
        check_disagreement("host-int8", "main", found, 0.01, lambda: "conv2d 3 of 54")


def test_boxes_are_counted_where_there_are_no_classes() -> None:
    found = verification(Agreement(5, None, None), (20, 18))
    with pytest.raises(VerificationFailed, match=r"in 10\.0% of its boxes"):
        check_disagreement("host-int8", "main", found, 0.05, str)
    with pytest.raises(VerificationFailed, match="answers with none of them"):
        check_disagreement("host-int8", "main", verification(Agreement(5, None, None)), 0.05, str)


def test_of_what_writes_texts_tokens_are_counted() -> None:
    """Not the classes of its step on given states: an encoder's noise shows in the texts alone."""
    texts = TokenAgreement(texts=10, same=7, compared=100, differ=3)
    found = replace(verification(Agreement(5, 1.0, 1.0)), texts=texts)
    check_disagreement("host-int8", "step", found, 0.03, str)
    with pytest.raises(VerificationFailed, match=r"in 3\.0% of its tokens, limit 2\.0%.*matmul 2 of encode"):
        check_disagreement("host-int8", "step", found, 0.02, lambda: "matmul 2 of encode")

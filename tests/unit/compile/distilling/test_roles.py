"""What can be a teacher or a student, and that a student's weights are named as `--weights` reads them."""

from __future__ import annotations

import pytest
import torch

from ovenbird import models
from ovenbird.distilling.roles import load_role
from ovenbird.errors import UsageError


def test_a_built_in_classifier_answers_and_its_state_loads() -> None:
    role = load_role("mobilenet_v3_small", "random:0")
    answers = role.answers(torch.zeros(2, 3, 224, 224))
    assert answers.logits.shape == (2, 1000)
    assert answers.embedding is not None
    again = models.recipe("mobilenet_v3_small").network()
    again.load_state_dict(role.state())  # strictly: all names, no others
    with torch.no_grad():
        torch.testing.assert_close(
            again.eval()(torch.ones(1, 3, 224, 224)), role.answers(torch.ones(1, 3, 224, 224)).logits
        )
    assert role.bytes == pytest.approx(sum(one.numel() for one in again.parameters()) * 4, rel=0.01)


@pytest.mark.parametrize("text", ["nowhere.onnx", "git-base-textcaps", "ssdlite320_mobilenet_v3_large"])
def test_what_cannot_be_trained_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        load_role(text, None)

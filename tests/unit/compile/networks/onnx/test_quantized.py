"""Networks that ONNX Runtime's quantizer wrote, in each of its forms, become one form and answer as there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support.onnx_models import run_together
from support.quantized_models import Quantized, convolutional_model, quantize_by_onnx
from support.relax_calls import calls_of, made_by

FORMS: dict[str, dict[str, Any]] = {
    "QDQ": {"form": "QDQ"},
    "QDQ of int8": {"form": "QDQ", "activations": "int8"},
    "QDQ, a scale for each weight": {"form": "QDQ", "per_channel": False},
    "QOperator": {"form": "QOperator"},
    "dynamic": {"form": "dynamic"},
}


@pytest.fixture(scope="module")
def cases() -> dict[str, Quantized]:
    return {name: Quantized(quantize_by_onnx(convolutional_model(), **form), name) for name, form in FORMS.items()}


@pytest.fixture(scope="module")
def answers(cases: dict[str, Quantized]) -> dict[str, list[Any]]:
    return dict(zip(cases, run_together(list(cases.values())), strict=True))


@pytest.mark.parametrize("name", FORMS)
def test_a_quantized_network_answers_as_in_onnx_runtime(
    name: str, cases: dict[str, Quantized], answers: dict[str, list[Any]]
) -> None:
    (found,), (right,) = answers[name], cases[name].expected()
    quantum = (right.max() - right.min()) / 255
    assert right.max() - right.min() > 0.5
    assert np.abs(found - right).max() <= 2 * quantum


@pytest.mark.parametrize("name", [name for name in FORMS if name != "dynamic"])
def test_every_form_becomes_the_one_that_compiles_to_integers(name: str, cases: dict[str, Quantized]) -> None:
    function = cases[name].relax()["main"]
    layers = calls_of(function, "relax.nn.conv2d", "relax.matmul")
    assert len(layers) == 4
    for layer in layers:
        data, weight = (made_by(function, argument) for argument in layer.args)
        data = made_by(function, data.args[0]) if data.op.name == "relax.reshape" else data
        assert data.op.name == weight.op.name == "relax.dequantize"
        assert str(data.args[0].ty.dtype.dtype) == "uint8"
        assert str(weight.args[0].value.dtype) == "int8"
        assert not weight.args[2].value.numpy().any()
        assert made_by(function, data.args[0]).op.name == "relax.quantize"
    assert {str(call.attrs.out_dtype) for call in calls_of(function, "relax.quantize")} == {"uint8"}

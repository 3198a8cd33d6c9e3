"""Networks that ONNX Runtime's quantizer wrote, in each of its forms, become one form and answer as there; and its
operators alone give the levels that whole numbers say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support.onnx_models import Small, run_together
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


def levels_of(products: Any, scale: Any, zero: int) -> tuple[Any, Any]:
    """Return exact sums of products as levels of uint8, and how far each is from the half where it would be another."""
    exact = products * scale
    return np.clip(np.rint(exact) + zero, 0, 255), np.abs(exact - np.floor(exact) - 0.5)


def test_quantized_operators_give_the_levels_of_whole_numbers() -> None:
    """Levels at both ends: pairs of their products leave 16 bits, where ONNX Runtime's sums end on AVX2."""
    random = np.random.default_rng(7)
    cases: list[tuple[Small, Any, Any]] = []
    for kernel, dtype, zero, per_channel in ((1, np.int8, 0, True), (1, np.uint8, 131, False), (3, np.int8, 0, False)):
        x = random.choice([0, 1, 254, 255], (1, 16, 6, 5)).astype(np.uint8)
        w = random.choice([np.iinfo(dtype).min, np.iinfo(dtype).max, 3], (10, 16, kernel, kernel)).astype(dtype)
        scales = random.uniform(0.002, 0.02, 10 if per_channel else 1).astype(np.float32)
        held = {
            "xs": np.float32(0.03), "xz": np.uint8(120), "w": w, "ws": scales, "wz": np.full(len(scales), zero, dtype),
            "ys": np.float32(4), "yz": np.uint8(125), "b": random.integers(-9000, 9000, 10).astype(np.int32),
        }  # fmt: skip
        pad = kernel // 2
        wide = np.pad(x.astype(np.float64) - 120, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        windows = np.lib.stride_tricks.sliding_window_view(wide, (kernel, kernel), (2, 3))
        sums = np.einsum("nchwij,ocij->nohw", windows, w.astype(np.float64) - zero) + held["b"].reshape(-1, 1, 1)
        units = np.float64(held["xs"]) * scales.astype(np.float64).reshape(-1, 1, 1) / 4
        cases.append(
            (Small("QLinearConv", {"x": x}, held, types=[np.uint8], pads=[pad] * 4), *levels_of(sums, units, 125))
        )
    a, b = cases[0][0].inputs["x"][0, :, :, 0], random.choice([-128, 127, 5], (6, 9)).astype(np.int8)
    held = {
        "as": np.float32(0.03), "az": np.uint8(120), "b": b, "bs": np.float32(0.01), "bz": np.int8(0),
        "ys": np.float32(0.5), "yz": np.uint8(125),
    }  # fmt: skip
    products = (a.astype(np.float64) - 120) @ b.astype(np.float64)
    right = levels_of(products, np.float64(held["as"]) * np.float64(held["bs"]) / 0.5, 125)
    cases.append((Small("QLinearMatMul", {"a": a}, held, types=[np.uint8]), *right))
    for (found,), (_, levels, margin) in zip(run_together([small for small, *_ in cases]), cases, strict=True):
        assert levels.std() > 5
        np.testing.assert_array_equal(found[margin > 1e-3], levels[margin > 1e-3])

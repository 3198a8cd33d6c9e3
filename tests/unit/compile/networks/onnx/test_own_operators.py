"""ONNX's recurrent layers, regions, scatters and sums agree with ONNX Runtime; all are compiled into one library."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relax

from ovenbird.backends.building import build_module
from ovenbird.errors import UnsupportedOperator
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.onnx.importing import import_model
from ovenbird.targets import load_target
from support.one_node import feeds_of, model_of, run_model

pytest.importorskip("onnxruntime")
RANDOM = np.random.default_rng(0)


def numbers(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Case:
    """A model of one operator and its inputs."""

    model: Any
    inputs: list[np.ndarray | None]

    @property
    def feeds(self) -> dict[str, np.ndarray]:
        return feeds_of(self.model, self.inputs)

    def imported(self) -> tvm.IRModule:
        return import_model(self.model, {name: array.shape for name, array in self.feeds.items()})


def case(operator: str, inputs: list[np.ndarray | None], outputs: int = 1, **settings: Any) -> Case:
    return Case(model_of(operator, inputs, outputs, **settings), inputs)


def layers() -> dict[str, Case]:
    """Directions, layouts, activations, the smallest and the fullest layer."""
    x, rows = numbers(5, 2, 6), np.array([5, 3], np.int32)
    lstm = [
        x,
        numbers(2, 32, 6),
        numbers(2, 32, 8),
        numbers(2, 64),
        rows,
        numbers(2, 2, 8),
        numbers(2, 2, 8),
        numbers(2, 24),
    ]
    gru = [x, numbers(1, 24, 6), numbers(1, 24, 8), numbers(1, 48), None, numbers(1, 2, 8)]
    rnn = [x, numbers(2, 8, 6), numbers(2, 8, 8)]
    return {
        "lstm": case("LSTM", lstm, 3, opset=14, constants=(1, 2, 3), hidden_size=8, direction="bidirectional"),
        "bare lstm": case(
            "LSTM", [x, lstm[1][:1], lstm[2][:1]], 3, opset=14, constants=(1, 2), hidden_size=8, clip=0.5,
            input_forget=1,
        ),
        "gru": case("GRU", gru, 2, opset=14, constants=(1, 2), hidden_size=8, direction="reverse"),
        "linear gru": case("GRU", gru, 2, opset=14, constants=(1, 2, 3), hidden_size=8, linear_before_reset=1),
        "bare gru": case("GRU", gru[:3], 2, opset=14, constants=(1, 2), hidden_size=8),
        "rnn": case(
            "RNN", rnn, 2, opset=14, constants=(1, 2), hidden_size=8, direction="bidirectional",
            activations=["Affine", "LeakyRelu"], activation_alpha=[0.5, 0.3], activation_beta=[0.25],
        ),
    }  # fmt: skip


def regions() -> dict[str, Case]:
    """What reads images at computed places."""
    picture, boxes = numbers(2, 19, 9, 11), np.abs(numbers(4, 4)) * 4
    boxes[:, 2:] += boxes[:, :2]
    with_index = np.concatenate([np.array([[0], [1], [1], [0]], np.float32), boxes], 1)
    offsets, mask = numbers(2, 2 * 9, 9, 11), np.abs(numbers(2, 9, 9, 11))
    window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    grouped = [numbers(2, 20, 9, 11), numbers(8, 5, 3, 3), offsets, numbers(8), mask]
    scores = np.round(np.abs(numbers(2, 3, 12)), 1)
    corners = np.abs(numbers(2, 12, 4))
    limits = [np.array([4]), np.array([0.3], np.float32), np.array([0.2], np.float32)]
    return {
        "align": case("RoiAlign", [picture, boxes, np.array([0, 1, 1, 0])], output_height=3, output_width=2),
        "old align": case(
            "RoiAlign", [picture, boxes, np.array([0, 1, 1, 0])], opset=10, sampling_ratio=2, output_width=2
        ),
        "pool": case("MaxRoiPool", [picture, with_index], pooled_shape=[3, 2], spatial_scale=0.5),
        "grid": case("GridSample", [picture, numbers(2, 3, 4, 2)], mode="cubic", padding_mode="border"),
        "old grid": case("GridSample", [picture, numbers(2, 3, 4, 2)], opset=16, mode="bilinear", align_corners=1),
        "deform": case("DeformConv", grouped, opset=19, constants=(1, 3), group=4, **window),
        "deform plain": case(
            "DeformConv", [picture, numbers(8, 19, 3, 3), offsets], opset=19, constants=(1,), **window
        ),
        "suppress": case("NonMaxSuppression", [corners, scores, *limits], constants=(2, 3, 4), shapes=[[30, 3]]),
    }


def places() -> dict[str, Case]:
    """Scatters, running sums and named axes."""
    data, index = numbers(4, 5, 6), RANDOM.integers(-4, 4, (3, 4, 5))
    pairs = np.array([[0, 1], [-1, 2], [0, 1]])
    return {
        "elements": case("ScatterElements", [data, index, numbers(3, 4, 5)], opset=18, axis=1, reduction="max"),
        "nd": case("ScatterND", [data, pairs, numbers(3, 6)], opset=18, reduction="mul"),
        "topk": case("TopK", [data, np.array([3])], 2, constants=(1,), axis=1, largest=0),
        "cumsum": case("CumSum", [data, np.array(-2)], constants=(1,), exclusive=1, reverse=1),
        **{
            f"einsum {equation}": case("Einsum", [numbers(*shape) for shape in shapes], opset=12, equation=equation)
            for equation, *shapes in [
                ("bhid,bhjd->bhij", (2, 3, 4, 5), (2, 3, 6, 5)),
                ("...ij,jk->...ki", (2, 3, 4, 5), (5, 6)),
                ("bij,bjk,k->bi", (2, 3, 4), (2, 4, 5), (5,)),
                ("ii->i", (5, 5)),
                ("ij,kl", (2, 3), (4, 5)),
                ("bchw->bc", (2, 3, 4, 5)),
            ]
        },
    }


FEW = ("lstm", "linear gru", "align", "grid", "deform", "suppress", "elements", "topk", "cumsum", "einsum ii->i")
"""Those that run without the slow ones."""


@functools.cache
def outputs(few: bool) -> dict[str, tuple[Case, list[np.ndarray]]]:
    """The few, or all others, compiled together."""
    cases = {name: each for name, each in {**layers(), **regions(), **places()}.items() if (name in FEW) == few}
    keys = {name: EntryKey(batch=index + 1) for index, name in enumerate(cases)}
    built = build_module({keys[name]: each.imported() for name, each in cases.items()}, load_target("host"))
    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    found = {}
    for entry, (name, each) in zip(built.entries, cases.items(), strict=True):
        tensors = [tvm.runtime.tensor(array) for array in each.feeds.values()]
        tensors += [tvm.runtime.tensor(built.tensors[index]) for index in entry.weights]
        found[name] = (each, [output.numpy() for output in machine[entry.function](*tensors)])
    return found


@pytest.mark.parametrize(
    "name",
    [
        name if name in FEW else pytest.param(name, marks=pytest.mark.slow)
        for name in [*layers(), *regions(), *places()]
    ],
)
def test_agrees_with_onnx_runtime(name: str) -> None:
    each, found = outputs(name in FEW)[name]
    for array, right in zip(found, run_model(each.model, each.feeds), strict=True):
        if name == "suppress":
            assert (array[len(right) :] == -1).all()
            array = array[: len(right)]
        assert array.shape == right.shape
        assert array.dtype == right.dtype
        np.testing.assert_allclose(array, right, atol=1e-4, rtol=1e-4)


def test_suppression_without_a_size_is_refused_with_the_way_out() -> None:
    unsized = case("NonMaxSuppression", [numbers(1, 5, 4), numbers(1, 1, 5), np.array([4])], constants=(2,))
    with pytest.raises(UnsupportedOperator, match=r"NonMaxSuppression: .* state its output's shape"):
        unsized.imported()


def test_an_unknown_activation_is_named() -> None:
    layer = case(
        "RNN", [numbers(5, 2, 6), numbers(1, 8, 6), numbers(1, 8, 8)], opset=14, hidden_size=8, activations=["Cube"]
    )
    with pytest.raises(UnsupportedOperator, match="RNN: the activation 'cube' is none of sigmoid"):
        layer.imported()

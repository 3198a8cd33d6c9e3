"""ONNX graphs as Relax: folded, expanded, unrolled, functions carried along; or refused in one line."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from ovenbird.errors import ImportFailed, NetworkError, UnsupportedOperator
from ovenbird.limits import MAX_LOOP_TURNS
from ovenbird.networks.onnx.importing import import_model
from support.onnx_models import Small, model_of, run_together, tensor_info

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.standard_normal((3, 4)).astype(np.float32)


class Graph(Small):
    """Several nodes over one input `x`; constants by name."""

    def __init__(
        self, nodes: list[Any], outputs: dict[str, Any], constants: dict[str, Any], x: Any = ROWS, opset: int = 22
    ) -> None:
        self.inputs = {"x": x}
        self.by_runtime = opset < 22
        graph = helper.make_graph(
            nodes,
            "graph",
            [tensor_info("x", x.dtype, x.shape)],
            [tensor_info(name, np.dtype(dtype), None) for name, dtype in outputs.items()],
            [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
        )
        self.model = model_of(graph, opset)


def flattened_by_arithmetic() -> Graph:
    """[N, C, H, W] -> [N, C * H * W] as exporters write it: Shape, Gather, Concat."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["rows"], axis=0),
        helper.make_node("Unsqueeze", ["rows", "axes"], ["row"]),
        helper.make_node("Cast", ["row"], ["cast"], to=TensorProto.INT64),
        helper.make_node("Concat", ["cast", "rest"], ["wanted"], axis=0),
        helper.make_node("Reshape", ["x", "wanted"], ["y"]),
        helper.make_node("Size", ["x"], ["size"]),
    ]
    constants = {"zero": np.int64(0), "axes": np.int64([0]), "rest": np.int64([-1])}
    return Graph(nodes, {"y": np.float32, "size": np.int64}, constants, ROWS.reshape(3, 2, 2, 1))


def branches(condition: str) -> Graph:
    """`If` with a branch that reads the network's input from around it."""
    then = helper.make_graph([helper.make_node("Neg", ["x"], ["a"])], "then", [], [tensor_info("a", np.float32, None)])
    other = helper.make_graph([helper.make_node("Exp", ["x"], ["b"])], "else", [], [tensor_info("b", np.float32, None)])
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
        helper.make_node("Greater", ["largest", "limit"], ["computed"]),
        helper.make_node("If", [condition], ["y"], then_branch=then, else_branch=other),
    ]
    return Graph(nodes, {"y": np.float32}, {"limit": np.float32(100), "known": np.array(True)})


def turns(count: int) -> Graph:
    """`Loop`: y = x * 2 ** count, and each turn's number."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["held", "held"], ["doubled"]),
            helper.make_node("Identity", ["going"], ["still"]),
            helper.make_node("Identity", ["turn"], ["turn_out"]),
        ],
        "body",
        [
            tensor_info("turn", np.int64, []),
            tensor_info("going", np.bool_, []),
            tensor_info("held", np.float32, None),
        ],
        [
            tensor_info("still", np.bool_, []),
            tensor_info("doubled", np.float32, None),
            tensor_info("turn_out", np.int64, []),
        ],
    )
    nodes = [helper.make_node("Loop", ["count", "going_on", "x"], ["y", "numbers"], body=body)]
    constants = {"count": np.int64(count), "going_on": np.array(True)}
    graph = Graph(nodes, {"y": np.float32, "numbers": np.int64}, constants)
    graph.by_runtime = True
    return graph


def in_sequence() -> Graph:
    """Split into a sequence, one taken, all joined again."""
    nodes = [
        helper.make_node("SplitToSequence", ["x"], ["parts"], axis=0, keepdims=0),
        helper.make_node("SequenceAt", ["parts", "place"], ["one"]),
        helper.make_node("ConcatFromSequence", ["parts"], ["all"], axis=-1, new_axis=1),
    ]
    return Graph(nodes, {"one": np.float32, "all": np.float32}, {"place": np.int64(-1)})


GRAPHS = {
    "a tensor function beside main": Small("Round", {"x": ROWS * 3}),
    "shapes as arithmetic": flattened_by_arithmetic(),
    "a branch that is decided": branches("known"),
    "a branch that is not": branches("computed"),
    "a loop": turns(3),
    "a sequence": in_sequence(),
    "an operator that is a function": Small("MeanVarianceNormalization", {"x": ROWS.reshape(1, 3, 2, 2)}),
    "a body that hangs on the types": Small(
        "SoftmaxCrossEntropyLoss", {"x": ROWS}, {"labels": np.int64([1, 0, 3])}, reduction="none"
    ),
    "rows shorter than a vector, joined": Small(
        "RotaryEmbedding",
        {
            "x": RANDOM.standard_normal((2, 3, 32)).astype(np.float32),
            "cosines": RANDOM.standard_normal((50, 4)).astype(np.float32),
            "sines": RANDOM.standard_normal((50, 4)).astype(np.float32),
            "places": RANDOM.integers(0, 50, (2, 3)),
        },
        opset=23,
        num_heads=4,
    ),
    "parts without elements": Graph(
        [
            helper.make_node("Slice", ["x", "from", "to"], ["nothing"]),
            helper.make_node("Concat", ["x", "nothing"], ["y"], axis=0),
        ],
        {"y": np.float32},
        {"from": np.int64([3]), "to": np.int64([3])},
    ),
    "a weight of eight bits, in a version that the evaluator lacks": Graph(
        [
            helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["wide"], axis=0),
            helper.make_node("Add", ["x", "wide"], ["y"]),
        ],
        {"y": np.float32},
        {
            "w": np.int8([[1, -2, 3, -4]] * 3),
            "scale": np.float32([0.5, 0.25, 1]),
            "zero": np.zeros(3, np.int8),
        },
        opset=13,
    ),
    "a constant output": Graph(
        [helper.make_node("Identity", ["c"], ["y"]), helper.make_node("Identity", ["x"], ["z"])],
        {"y": np.float64, "z": np.float32},
        {"c": np.float64([0.1])},
    ),
}


@pytest.fixture(scope="module")
def answers() -> dict[str, list[Any]]:
    return dict(zip(GRAPHS, run_together(list(GRAPHS.values())), strict=True))


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_gives_what_onnx_does(name: str, answers: dict[str, list[Any]]) -> None:
    for found, expected in zip(answers[name], GRAPHS[name].expected(), strict=True):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_negative_pads_cut_off() -> None:
    small = Small("Pad", {"x": ROWS}, {"pads": np.int64([-1, 1, 0, -2]), "value": np.float32(7)})
    module = small.relax()
    assert [int(extent) for extent in module["main"].ret_ty.fields[0].shape.values] == [2, 3]
    with pytest.raises(UnsupportedOperator, match=r"Pad \(node\): it cuts all elements off"):
        Small("Pad", {"x": ROWS}, {"pads": np.int64([-2, 0, -1, 0])}).relax()


def test_nodes_that_nobody_needs_are_left_out() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("RandomUniformLike", ["x"], ["unused"])]
    text = Graph(nodes, {"y": np.float32}, {}).relax().script(show_meta=False)
    assert text.count("R.nn.relu") == 1


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (
            Small("RandomUniformLike", {"x": ROWS}),
            UnsupportedOperator,
            "the operator RandomUniformLike .*cannot be imported",
        ),
        (
            Small("ImageDecoder", {"x": np.zeros(9, np.uint8)}),
            UnsupportedOperator,
            "ImageDecoder.*decoded image as input",
        ),
        (Small("NonZero", {"x": ROWS}, types=[np.int64]), UnsupportedOperator, "NonZero.*depends on the values"),
        (
            Small("Conv", {"x": ROWS}, domain="com.microsoft.nchwc"),
            UnsupportedOperator,
            r"com\.microsoft\.nchwc\.Conv \(node\).*optimiser wrote it; give the model as it was exported",
        ),
        (Small("Mine", {"x": ROWS}, domain="my.own"), UnsupportedOperator, r"my\.own\.Mine .*a function of that name"),
        (Small("TopK", {"x": ROWS, "k": np.int64([2])}, outputs=2), UnsupportedOperator, "TopK"),
        (
            Small("Tile", {"x": ROWS, "repeats": np.int64([2, 3])}),
            UnsupportedOperator,
            "Tile.*repeats.*constant",
        ),
        (
            Small("Reshape", {"x": ROWS}, {"shape": np.int64([5, 5])}),
            UnsupportedOperator,
            "cannot be reshaped",
        ),
        (
            Small("AffineGrid", {"x": ROWS.reshape(2, 2, 3)}, {"size": np.int64([2, 1, 1, 4])}, align_corners=1),
            UnsupportedOperator,
            r"AffineGrid \(node\): align_corners puts one pixel at both ends",
        ),
        (Small("Dropout", {"x": ROWS}, {"r": np.float32(0.5), "t": np.array(True)}), UnsupportedOperator, "training"),
        (turns(MAX_LOOP_TURNS + 1), UnsupportedOperator, f"more than {MAX_LOOP_TURNS} turns"),
        (Small("Slice", {"x": ROWS}, {"s": np.int64([9]), "e": np.int64([9])}), UnsupportedOperator, "no elements"),
        (
            Graph([helper.make_node("Expand", ["x", "s"], ["y"])], {"y": np.float32}, {"s": np.int64([10**9, 3, 4])}),
            UnsupportedOperator,
            "Expand gives 12000000000 elements",
        ),
        (
            Graph(
                [helper.make_node("Reshape", ["c", "s"], ["r"]), helper.make_node("Add", ["x", "r"], ["y"])],
                {"y": np.float32},
                {"c": np.zeros(4, np.float32), "s": np.int64([3])},
            ),
            ImportFailed,
            "the operator Reshape cannot be computed",
        ),
    ],
    ids=lambda value: "" if isinstance(value, Small | type) else value,
)
def test_a_refusal_is_one_line_and_names_the_operator(model: Small, error: type[NetworkError], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        model.relax()
    assert "\n" not in str(caught.value)


def test_weights_of_eight_bits_are_numbers_when_they_are_imported() -> None:
    module = GRAPHS["a weight of eight bits, in a version that the evaluator lacks"].relax()
    assert module["main"].script(show_meta=False).count("R.multiply") == 0


def test_half_precision_is_computed_in_float32() -> None:
    small = Small("Exp", {"x": ROWS.astype(np.float16)})
    main = import_model(small.model, {"x": (3, 4)})["main"]
    assert str(main.params[0].ty.dtype) == str(main.ret_ty.fields[0].dtype) == "float16"
    assert "R.exp(lv)" in main.script(show_meta=False)
    assert 'lv: R.Tensor((3, 4), dtype="float32")' in main.script(show_meta=False)

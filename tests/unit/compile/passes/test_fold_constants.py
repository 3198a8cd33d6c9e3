"""Constants that numpy computes have the bits that TVM's code gives them."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
import tvm_ffi
from tvm import relax

from ovenbird.passes import fold_constants
from ovenbird.passes.share_constants import array_of

RNG = np.random.default_rng(0)
FLOATS = relax.const((RNG.standard_normal((6, 4)) * 10 ** RNG.uniform(-20, 20, (6, 4))).astype("float32"))
OTHERS = relax.const(RNG.standard_normal((6, 4)).astype("float32"))
SPECIAL = relax.const(np.float32([np.nan, np.inf, -np.inf, -0.0, 1e-40, 3.4e38]))
POSITIVE = relax.const(np.abs(RNG.standard_normal((6, 4))).astype("float32"))
WHOLE = relax.const(RNG.integers(-9, 9, (6, 4)))
SHORT = relax.const(RNG.integers(-9, 9, (6, 4)).astype("int32"))
TRUE = relax.const(RNG.random((6, 4)) > 0.5)
PLACES = relax.const(np.array([[5, 0], [2, 2]]))
ONE = relax.const(np.float32(1.1))

CALLS = {
    "reshape": relax.op.reshape(FLOATS, (2, 3, 4)),
    "expand_dims": relax.op.expand_dims(FLOATS, [0, 3]),
    "squeeze": relax.op.squeeze(relax.op.reshape(FLOATS, (1, 6, 1, 4)), [0]),
    "flatten": relax.op.flatten(WHOLE),
    "permute_dims": relax.op.permute_dims(FLOATS),
    "permute_dims by axes": relax.op.permute_dims(relax.op.reshape(FLOATS, (2, 3, 4)), [1, 2, 0]),
    "concat": relax.op.concat([FLOATS, OTHERS, POSITIVE], 1),
    "stack": relax.op.stack([FLOATS, OTHERS], 1),
    "full": relax.op.full((3, 4), ONE, "float32"),
    "broadcast_to": relax.op.broadcast_to(FLOATS, (3, 6, 4)),
    "take": relax.op.take(FLOATS, PLACES, axis=0),
    "strided_slice": relax.op.strided_slice(FLOATS, [0, 1], [-5, 0], [2**62, 3], [2, 1]),
    "astype": relax.op.astype(WHOLE, "float32"),
    "astype of truths": relax.op.astype(TRUE, "int64"),
    "where": relax.op.where(TRUE, FLOATS, OTHERS),
    "add": relax.op.add(FLOATS, OTHERS),
    "add to a row": relax.op.add(FLOATS, relax.op.reshape(OTHERS, (1, 6, 4))),
    "subtract": relax.op.subtract(WHOLE, WHOLE),
    "multiply": relax.op.multiply(FLOATS, FLOATS),
    "multiply by one": relax.op.multiply(SPECIAL, ONE),
    "divide": relax.op.divide(FLOATS, OTHERS),
    "sqrt": relax.op.sqrt(POSITIVE),
    "maximum": relax.op.maximum(SHORT, relax.op.permute_dims(relax.op.permute_dims(SHORT))),
    "minimum": relax.op.minimum(WHOLE, relax.const(np.int64(3))),
    "less": relax.op.less(FLOATS, OTHERS),
    "less_equal": relax.op.less_equal(SPECIAL, ONE),
    "greater": relax.op.greater(SPECIAL, ONE),
    "greater_equal": relax.op.greater_equal(WHOLE, relax.const(np.int64(3))),
    "equal": relax.op.equal(SPECIAL, SPECIAL),
    "not_equal": relax.op.not_equal(WHOLE, relax.const(np.int64(3))),
    "logical_not": relax.op.logical_not(TRUE),
    "logical_and": relax.op.logical_and(TRUE, TRUE),
    "logical_or": relax.op.logical_or(TRUE, TRUE),
}
LEFT = {
    "maximum of floats": relax.op.maximum(SPECIAL, ONE),
    "take beyond the end": relax.op.take(FLOATS, relax.const(np.array([1, -1])), axis=0, mode="wrap"),
    "exp": relax.op.exp(OTHERS),
    "conversion that rounds to whole numbers": relax.op.astype(OTHERS, "int32"),
    "nothing": relax.op.reshape(relax.const(np.zeros((0, 3), "float32")), (0, 1, 3)),
}
"""What has no rule of numpy's."""


def module_of(calls: dict[str, relax.Call]) -> tvm.IRModule:
    """Return a function that returns what each call gives."""
    builder = relax.BlockBuilder()
    with builder.function("main", []):
        with builder.dataflow():
            outputs = builder.emit_output(relax.Tuple([builder.emit(call) for call in calls.values()]))
        builder.emit_func_output(outputs)
    return builder.get()


def constants_of(module: tvm.IRModule) -> list[np.ndarray | None]:
    """Return each output's numbers, None where it is not a constant."""
    function = module["main"]
    bound = {binding.var: binding.value for block in function.body.blocks for binding in block.bindings}
    outputs = bound[function.body.body] if isinstance(function.body.body, relax.Var) else function.body.body
    found = [bound.get(field, field) for field in outputs.fields]
    return [array_of(one) if isinstance(one, tvm.ir.GenericConst) else None for one in found]


def numpy_alone(calls: dict[str, relax.Call], monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray | None]:
    """Return what the pass folds without TVM."""
    nothing = tvm.transform.module_pass(lambda module, _: module, opt_level=0, name="Nothing")
    monkeypatch.setattr(relax.transform, "FoldConstant", lambda: nothing)
    return constants_of(fold_constants.fold_constants(module_of(calls)))


def test_every_rule_gives_the_bits_of_tvms_code(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {f"relax.{name.split()[0]}" for name in CALLS} == {*fold_constants.VIEWS, *fold_constants.FOLDED}
    wanted = constants_of(relax.transform.FoldConstant()(module_of(CALLS)))
    for name, ours, theirs in zip(CALLS, numpy_alone(CALLS, monkeypatch), wanted, strict=True):
        assert ours is not None, name
        assert theirs is not None, name
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), name
        assert ours.tobytes() == theirs.tobytes(), name


def test_what_has_no_rule_is_left_to_tvm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert numpy_alone(LEFT, monkeypatch) == [None] * len(LEFT)


def test_tvm_is_not_asked_where_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    builder, x = relax.BlockBuilder(), relax.Var("x", relax.TensorType((6, 4), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            output = builder.emit_output(builder.emit(relax.op.exp(relax.op.add(x, relax.op.sqrt(POSITIVE)))))
        builder.emit_func_output(output)
    module = builder.get()
    wanted = relax.transform.DeadCodeElimination()(relax.transform.FoldConstant()(module))
    monkeypatch.setattr(relax.transform, "FoldConstant", lambda: pytest.fail("there is nothing to fold"))
    found = relax.transform.DeadCodeElimination()(fold_constants.fold_constants(module))
    assert tvm_ffi.structural_equal(found, wanted)


def test_chains_are_folded_to_their_end() -> None:
    chain = relax.op.exp(relax.op.add(relax.op.permute_dims(OTHERS), relax.op.permute_dims(POSITIVE)))
    (found,) = constants_of(fold_constants.fold_constants(module_of({"chain": chain})))
    assert found is not None
    np.testing.assert_allclose(found, np.exp((array_of(OTHERS) + array_of(POSITIVE)).T), rtol=1e-6)

"""Linear layers whose weight the exported program repeats for every row."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import tvm
from torch import nn
from tvm import relax

from ovenbird.backends.base import BuildOptions
from ovenbird.backends.building import build_module
from ovenbird.lowering.entry_key import EntryKey
from ovenbird.networks.torch.importer import import_exported
from ovenbird.passes.share_broadcast_matrices import share_broadcast_matrices
from ovenbird.targets import load_target


class SelfAttention(nn.Module):
    """Attention among the rows of each image, as vision transformers have it."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return found


def imported(network: nn.Module, example: torch.Tensor) -> tvm.IRModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export's own deprecations
        return import_exported(torch.export.export(network.eval(), (example,)))


def products(module: tvm.IRModule) -> list[tuple[int, int]]:
    """The ranks of both operands of every matrix product."""
    found = []
    for block in module["main"].body.blocks:
        for binding in block.bindings:
            if getattr(getattr(binding.value, "op", None), "name", "") == "relax.matmul":
                found.append(tuple(len(arg.ty.shape.values) for arg in binding.value.args))
    return found


@pytest.mark.parametrize("rows", [17, 64])
@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_weights_are_not_repeated_for_every_row(batch: int, rows: int) -> None:
    network, tokens = SelfAttention(), torch.randn(batch, rows, 32)
    built = build_module({EntryKey(batch=batch): imported(network, tokens)}, load_target("host"), BuildOptions())
    weights = sum(array.nbytes for array in built.tensors)
    assert weights < 1.5 * sum(4 * parameter.numel() for parameter in network.parameters())
    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    entry = built.entries[0]
    arguments = [tvm.runtime.tensor(tokens.numpy())] + [tvm.runtime.tensor(built.tensors[i]) for i in entry.weights]
    result = machine[entry.function](*arguments)
    answer = result.numpy() if hasattr(result, "numpy") else result[0].numpy()
    np.testing.assert_allclose(answer, network(tokens).detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 11, 16), (3, 11, 16), (1, 33, 16)], ids=str)
def test_a_linear_layer_of_many_rows_and_its_bias_are_one_product(shape: tuple[int, ...]) -> None:
    weight, bias = np.random.default_rng(0).standard_normal((16, 6)).astype("float32"), np.arange(6, dtype="float32")
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(shape, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            product = builder.emit(relax.op.matmul(x, relax.const(weight)))
            out = builder.emit_output(relax.op.add(product, relax.const(bias)))
        builder.emit_func_output(out)
    built = build_module({EntryKey(): builder.finalize()}, load_target("host"), BuildOptions())
    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    rows = np.random.default_rng(1).standard_normal(shape).astype("float32")
    weights = [tvm.runtime.tensor(built.tensors[index]) for index in built.entries[0].weights]
    found = machine[built.entries[0].function](tvm.runtime.tensor(rows), *weights)
    np.testing.assert_allclose(found.numpy(), rows @ weight + bias, rtol=1e-5, atol=1e-5)


def module_of(left: tuple[int, ...], matrix: tuple[int, ...], repeated: tuple[int, ...]) -> tvm.IRModule:
    """left @ broadcast_to(matrix, repeated)."""
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(left, "float32"))
    w = relax.Var("w", relax.TensorType(matrix, "float32"))
    with builder.function("main", [x, w]):
        with builder.dataflow():
            copies = builder.emit(relax.op.broadcast_to(w, repeated))
            out = builder.emit_output(relax.op.matmul(x, copies))
        builder.emit_func_output(out)
    return builder.finalize()


@pytest.mark.parametrize(
    ("left", "matrix", "repeated", "expected"),
    [
        ((5, 3, 16), (16, 8), (5, 16, 8), (2, 2)),
        ((2, 5, 3, 16), (16, 8), (2, 5, 16, 8), (2, 2)),
        ((3, 16), (16, 8), (5, 16, 8), (2, 3)),  # the product itself is repeated
        ((1, 3, 16), (16, 8), (5, 16, 8), (3, 3)),
        ((5, 3, 16), (5, 16, 8), (5, 16, 8), (3, 3)),  # nothing is repeated
        ((5, 3, 16), (16, 1), (5, 16, 8), (3, 3)),  # columns are repeated, not matrices
        ((5, 3, 16), (1, 8), (5, 16, 8), (3, 3)),
    ],
)
def test_only_repeated_matrices_are_shared(
    left: tuple[int, ...], matrix: tuple[int, ...], repeated: tuple[int, ...], expected: tuple[int, int]
) -> None:
    module = module_of(left, matrix, repeated)
    shared = share_broadcast_matrices(module)
    assert products(shared) == [expected]
    assert str(shared["main"].ret_ty) == str(module["main"].ret_ty)

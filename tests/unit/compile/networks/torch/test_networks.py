"""Whole networks on their way in: dtypes they are stored in, what they keep, and refusals that name the line."""

from typing import Any

import numpy as np
import pytest
import torch
import tvm
from torch import nn

from ovenbird.errors import ImportFailed, NetworkUntraceable, UnsupportedOperator
from ovenbird.networks.torch.importer import check
from ovenbird.networks.torch.source import TorchSource
from ovenbird.networks.torch.tracing import Traced


class Classifier(nn.Module):
    """Stored in a dtype, and casting to it on the way."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.head = nn.Linear(8, 3, dtype=dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(x.float().exp().to(self.dtype)) * 100
        return found


class Counter(nn.Module):
    """Answers otherwise each time."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        return x * self.count


class Scratch(nn.Module):
    """Writes a buffer and reads what it wrote; counts, and reads no count."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scratch", torch.zeros(4))
        self.register_buffer("other", torch.ones(4))
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count += 1
        self.other.zero_()
        self.other += x.amax(0)
        self.scratch.copy_(x.mean(0) + self.other)
        return x - self.scratch


class Lines(nn.Module):
    """Two operators without an import, each in a line of its own."""

    def forward(self, x: torch.Tensor) -> Any:
        return torch.linalg.svd(x).S  # the line


@pytest.mark.parametrize(
    ("stored", "given"),
    [(torch.float16, "float16"), (torch.bfloat16, "float32"), (torch.float64, "float64")],
    ids=["float16", "bfloat16", "float64"],
)
def test_a_network_is_computed_in_float32_whatever_it_is_stored_in(stored: torch.dtype, given: str) -> None:
    torch.manual_seed(0)
    source = TorchSource(Traced.of(Classifier(stored), (torch.randn(1, 8, dtype=stored),)))
    (example,) = source.examples(2)
    assert example.dtype == given
    text = source.relax(2).script(show_meta=False)
    assert "bfloat16" not in text
    assert "R.matmul(lv" in text
    assert all('dtype="float32"' in line for line in text.splitlines() if "R.matmul" in line or "R.exp" in line)
    machine = tvm.relax.VirtualMachine(tvm.compile(source.relax(2), "llvm"), tvm.cpu())
    found = machine["main"](tvm.runtime.tensor(example))[0].numpy()
    (right,) = source.reference([example])
    assert found.dtype == right.dtype == given
    np.testing.assert_allclose(found.astype("float64"), right, rtol=1e-3 if given == "float16" else 1e-5)


class Checked(nn.Module):
    """Checks shapes that it keeps in a tensor, as detectors with deformable attention do: of nothing that is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shapes = torch.empty((2, 2), dtype=torch.int64)
        for level in range(2):
            shapes[level, 0], shapes[level, 1] = x.shape[1] >> level, torch.tensor(4 >> level)
        torch._check_tensor_all(shapes.prod(1).sum() == 20)
        return x * shapes.sum()


def test_checks_of_what_no_input_changes_are_made_when_it_is_imported() -> None:
    source = TorchSource(Traced.of(Checked(), (torch.ones(2, 4),)))
    text = source.relax(2).script(show_meta=False)
    assert "R.const(12" in text
    assert "R.all" not in text


class Mixed(nn.Module):
    """Computes a part of itself in bfloat16, as `torch.autocast` has it, and a part under another setting."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(8, 6), nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            inner = self.layer(x).float()
        with torch.enable_grad():
            inner = inner.to(torch.float16) * 2
        with torch.autocast("cpu", enabled=False):
            found: torch.Tensor = self.head(inner.float())
        return found


def test_regions_of_a_low_dtype_are_computed_in_float32() -> None:
    torch.manual_seed(0)
    net, x = Mixed(), torch.randn(2, 8)
    source = TorchSource(Traced.of(net, (x,)))
    module = source.relax(2)
    assert "float16" not in module.script(show_meta=False)
    found = tvm.relax.VirtualMachine(tvm.compile(module, "llvm"), tvm.cpu())["main"](tvm.runtime.tensor(x.numpy()))
    with torch.no_grad():
        wide = net.head(net.layer(x) * 2).numpy()
    np.testing.assert_allclose(found[0].numpy(), wide, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(source.reference([x.numpy()])[0], wide, rtol=1e-5, atol=1e-6)


class Masked(nn.Module):
    """Hides places by float64's least number: in a weight, in a number of the code, and in an input."""

    def __init__(self) -> None:
        super().__init__()
        self.least = torch.finfo(torch.float64).min
        self.register_buffer("upper", torch.full((4, 4), self.least, dtype=torch.float64).triu(1))

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> Any:
        rows = (x + self.upper).softmax(-1)
        hidden = (x + (1 - (mask == 0).double()) * self.least).softmax(-1)
        filled = torch.full_like(x, self.least).softmax(-1)
        return rows, hidden, filled, (x * 0 + mask).softmax(-1), x.masked_fill(x > 0, -torch.inf).exp()


def test_float64s_least_number_hides_as_it_does_in_torch() -> None:
    """In float32 it is infinite, and the softmax of a row of nothing else is not a number."""
    torch.manual_seed(0)
    x, mask = torch.randn(2, 4, 4, dtype=torch.float64), torch.zeros(2, 4, 4, dtype=torch.float64)
    mask[0, 1] = mask[1, 2, 1:] = torch.finfo(torch.float64).min
    source = TorchSource(Traced.of(Masked(), (x, mask)))
    machine = tvm.relax.VirtualMachine(tvm.compile(source.relax(2), "llvm"), tvm.cpu())
    given = [tvm.runtime.tensor(one.numpy()) for one in (x, mask)]
    for found, right in zip(machine["main"](*given), source.reference([x.numpy(), mask.numpy()]), strict=True):
        assert np.isfinite(right).all()
        np.testing.assert_allclose(found.numpy(), right, rtol=1e-5, atol=1e-6)


def test_what_a_network_keeps_between_calls_is_refused_by_the_line_that_writes_it() -> None:
    with pytest.raises(NetworkUntraceable, match=r'keeps count .*test_networks.py:\d+ "self.count \+= 1"'):
        TorchSource(Traced.of(Counter(), (torch.ones(2, 4),))).relax(None)


def test_what_a_call_writes_and_reads_itself_is_no_state() -> None:
    source = TorchSource(Traced.of(Scratch(), (torch.ones(2, 4),)))
    assert "R.mean" in source.relax(None).script(show_meta=False)


def test_a_refusal_names_the_operator_and_the_line() -> None:
    with pytest.raises(UnsupportedOperator, match=r'aten._linalg_svd \(test_networks.py:\d+ "return torch.linalg.svd'):
        TorchSource(Traced.of(Lines(), (torch.ones(2, 4),))).relax(None)


def test_a_result_unlike_torchs_is_refused() -> None:
    program = Traced.of(nn.ReLU(), (torch.ones(2, 4),)).export(None)
    node = next(node for node in program.graph.nodes if node.op == "call_function")
    other = tvm.relax.const(np.ones((2, 4), "int64"), "int64")
    with pytest.raises(ImportFailed, match=r"become int64\[2, 4\], torch gives float32\[2, 4\]"):
        check(node, other)

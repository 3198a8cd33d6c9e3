"""Compile torch's own samples of its operators and print, for each, what came out: right, refused, WRONG or CRASHED.

    .venv/bin/python ci/operators/torch_sweep.py --output sweep.tsv             # all families; goes on where it stopped
    .venv/bin/python ci/operators/torch_sweep.py --family resizing --samples 12
    .venv/bin/python ci/operators/torch_sweep.py --output sweep.tsv --page      # and the page of the documentation

A refusal is a typed error of one line. WRONG is an answer unlike torch's, CRASHED an error that is not typed, or a
process that died: each operator has one of its own. torch's samples import `expecttest`, of our extra `test`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils import _pytree as pytree

sys.path.insert(0, str(Path(__file__).parent))

from torch_names import FAMILIES, names
from torch_page import write_page

DTYPES = (torch.float32, torch.int64, torch.bool, torch.uint8, torch.int32)
LONGEST_S = 300
"""Seconds for one operator."""
TOLERANCE = 2e-4
"""Largest difference allowed, relative to the largest value of the output (at least 1)."""

IMPORTED = (
    "torch._dynamo", "torch.export._trace", "torch._functorch.aot_autograd", "tvm.relax.frontend.torch",
    "ovenbird.backends.building", "ovenbird.backends.cpu.pipeline", "ovenbird.networks.torch.importer",
)  # fmt: skip
"""What every operator's process would import anew."""

TIED = frozenset({"argsort", "kthvalue", "median", "sort", "topk"})
"""Operators that say where an element was, and may say any of equal ones: whole numbers and truth values have many."""


class Sample(nn.Module):
    """One call of an operator: its tensors are the network's inputs, other arguments are constants."""

    def __init__(self, operator: Any, arguments: Any) -> None:
        super().__init__()
        self.operator = operator
        self.tied = False
        leaves, self.spec = pytree.tree_flatten(arguments)
        self.tensors = tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
        self.leaves = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        self.places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call the operator, and return the tensors it gives."""
        leaves = list(self.leaves)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        first, args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        found = pytree.tree_leaves(self.operator(first, *args, **kwargs))
        return tuple(leaf for leaf in found if isinstance(leaf, torch.Tensor))


class Together(nn.Module):
    """Samples side by side: the inputs of all, one after the other, and so the outputs."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        super().__init__()
        self.samples = nn.ModuleList(samples)
        self.tensors = tuple(tensor for sample in samples for tensor in sample.tensors)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Call them all."""
        rest = iter(tensors)
        return tuple(
            found
            for sample in self.samples
            for found in sample(*(next(rest) for _ in sample.tensors))  # type: ignore[attr-defined]
        )


@dataclass(frozen=True)
class Verdict:
    """What came of one operator: its samples by kind, and the worst of them in words."""

    counts: Counter[str]
    worst: str = ""

    def line(self, family: str, name: str, seconds: float) -> str:
        """Return a line of the table."""
        kinds = "\t".join(str(self.counts[kind]) for kind in ("right", "refused", "WRONG", "CRASHED"))
        return f"{family}\t{name}\t{kinds}\t{seconds:.0f}\t{self.worst[:200]}"


def main() -> int:
    """Sweep, and return 1 where an operator was wrong or crashed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", action="append", default=[], choices=list(FAMILIES))
    parser.add_argument("--only", action="append", default=[], help="one operator")
    parser.add_argument("--samples", type=int, default=5, help="of each dtype at most")
    parser.add_argument("--output", type=Path, help="a table to append to; operators that it has are left out")
    parser.add_argument("--page", action="store_true", help="write the page of the documentation from that table")
    options = parser.parse_args()
    if options.page and not options.output:
        parser.error("--page needs --output, the table")
    for module in IMPORTED:
        importlib.import_module(module)
    known = _operators()
    done = {line.split("\t")[1] for line in _lines(options.output)}
    totals: Counter[str] = Counter()
    for family, name in names(options.family):
        if name in done or (options.only and name not in options.only):
            continue
        began = time.monotonic()
        verdict = _apart(known[name], options.samples)
        totals.update(verdict.counts)
        line = verdict.line(family, name, time.monotonic() - began)
        print(line, flush=True)
        if options.output:
            with options.output.open("a") as table:
                table.write(line + "\n")
    if options.page:
        write_page(options.output)
    print(f"{totals.total()} samples: " + ", ".join(f"{count} {kind}" for kind, count in totals.most_common()))
    return 1 if totals["WRONG"] or totals["CRASHED"] else 0


def _operators() -> dict[str, Any]:
    from torch.testing._internal.common_methods_invocations import op_db

    return {f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name: op for op in op_db}


def _lines(path: Path | None) -> Sequence[str]:
    return path.read_text().splitlines() if path is not None and path.exists() else ()


def _apart(operator: Any, samples: int) -> Verdict:
    """Judge an operator in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "verdict"
        child = os.fork()
        if child == 0:
            _judge_into(found, operator, samples)
        deadline = time.monotonic() + LONGEST_S
        while True:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                os.kill(child, 9)
                os.waitpid(child, 0)
                return Verdict(Counter(CRASHED=1), f"took longer than {LONGEST_S} s")
            time.sleep(0.02)
        lines = found.read_text().splitlines() if found.exists() else []
        counts = Counter(line.split("\t")[0] for line in lines)
        if status:
            counts["CRASHED"] += 1
            return Verdict(counts, f"the process ended with status {status}")
        faults = [line for line in lines if not line.startswith("right")]
        faults.sort(key=lambda line: ("CRASHED", "WRONG", "refused").index(line.split("\t")[0]))
        return Verdict(counts, faults[0].replace("\t", " ") if faults else "")


def _judge_into(path: Path, operator: Any, samples: int) -> None:
    code = 1
    try:
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        path.write_text("".join(f"{verdict}\n" for verdict in _judge_together(list(_chosen(operator, samples)))))
        code = 0
    finally:
        os._exit(code)


def _judge_together(samples: Sequence[Sample]) -> list[str]:
    """Compile all samples at once, which is quicker; where that does not work out, those of a half, and so on."""
    if len(samples) < 2:
        return [_judge(sample) for sample in samples]
    try:
        rights = [sample(*sample.tensors) for sample in samples]
        given = iter(_compiled(Together(samples)))
    except Exception:  # noqa: BLE001 - one of them; which, is found by halves
        half = len(samples) // 2
        return _judge_together(samples[:half]) + _judge_together(samples[half:])
    return [
        _compared(sample, [next(given) for _ in right], right) for sample, right in zip(samples, rights, strict=True)
    ]


def _chosen(operator: Any, count: int) -> Iterator[Sample]:
    """Choose samples of each dtype, evenly among what torch has."""
    for dtype in DTYPES:
        if not operator.supports_dtype(dtype, "cpu"):
            continue
        torch.manual_seed(0)
        given = list(operator.sample_inputs("cpu", dtype, requires_grad=False))
        step = max(1, len(given) // (count if dtype is torch.float32 else min(count, 2)))
        for sample in given[::step][: count if dtype is torch.float32 else min(count, 2)]:
            chosen = Sample(operator.op, (sample.input, list(sample.args), dict(sample.kwargs)))
            chosen.tied = operator.name in TIED and not dtype.is_floating_point
            yield chosen


def _judge(sample: Sample) -> str:
    """Compile a sample and compare: a line that begins with its verdict."""
    from ovenbird.errors import CompilerError

    try:
        right = sample(*sample.tensors)
        if any(tensor.dtype.is_complex for tensor in (*right, *sample.tensors)):
            return "refused\tcomplex numbers"
        given = _compiled(sample)
    except CompilerError as error:
        return f"refused\t{_one_line(error)}"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        return f"CRASHED\t{type(error).__name__}: {_one_line(error)}"
    return _compared(sample, given, right)


def _compared(sample: Sample, given: Sequence[np.ndarray], right: Sequence[torch.Tensor]) -> str:
    places = len(right) - 1 if sample.tied else len(right)
    for one, two in zip(given[:places], right[:places], strict=True):
        fault = _difference(one, two.detach().numpy())
        if fault:
            shown = [f"{leaf}"[:40] for leaf in sample.leaves if leaf is not None]
            return f"WRONG\t{fault}; inputs {[(tuple(t.shape), str(t.dtype)[6:]) for t in sample.tensors]} {shown}"
    return "right"


def _compiled(sample: Sample | Together) -> list[np.ndarray]:
    """Return what the compiled sample answers."""
    import tvm
    from tvm import relax

    from ovenbird.backends.building import build_module
    from ovenbird.lowering.entry_key import EntryKey
    from ovenbird.networks.torch.importer import import_exported
    from ovenbird.networks.torch.tracing import Traced
    from ovenbird.targets import load_target

    traced = Traced.of(sample, sample.tensors)
    built = build_module({EntryKey(): import_exported(traced.export(None))}, load_target("host"))
    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    tensors = [tvm.runtime.tensor(value.detach().contiguous().numpy()) for value in sample.tensors]
    tensors += [tvm.runtime.tensor(built.tensors[index]) for index in built.entries[0].weights]
    result = machine[built.entries[0].function](*tensors)
    return [tensor.numpy() for tensor in ([result] if hasattr(result, "numpy") else result)]


def _difference(given: np.ndarray, right: np.ndarray) -> str:
    if given.dtype != right.dtype or given.shape != right.shape:
        return f"{given.dtype}{list(given.shape)}, expected {right.dtype}{list(right.shape)}"
    if right.size == 0:
        return ""
    if right.dtype.kind != "f":
        wrong = int((given != right).sum())
        return f"{wrong} of {right.size} differ" if wrong else ""
    finite = np.isfinite(right)
    if not np.array_equal(finite, np.isfinite(given)) or not np.array_equal(
        given[~finite], right[~finite], equal_nan=True
    ):
        return "nan or infinity where torch has none, or the other way round"
    error = np.abs(given[finite].astype(np.float64) - right[finite]).max(initial=0)
    allowed = TOLERANCE * max(1, np.abs(right[finite]).max(initial=0))
    return f"differs by {error:.2g}" if error > allowed else ""


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no message"


if __name__ == "__main__":
    sys.exit(main())

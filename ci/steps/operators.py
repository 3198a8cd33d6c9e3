"""Time single operators at sizes that real networks use against ONNX Runtime, and print the ratio of each.

    python ci/steps/operators.py                          # all of them, some twenty minutes
    python ci/steps/operators.py depthwise conv1d         # those whose name has one of the words
    python ci/steps/operators.py --threads 1 --most 2.0   # exit code 1 where a ratio is above it
    python ci/steps/operators.py --output docs/benchmarks/operators.md    # keep the table, other rows as they are
    python ci/steps/operators.py --rows FILE --seconds 500     # for so long; again: go on behind the rows in the file

Each pair is compiled and run in a process of its own, in blocks of calls in turn. A ratio is our shortest call by
ONNX Runtime's; the spread is that of the ratios of the single blocks, from the first to the third quartile.
Needs torch, onnx and onnxruntime (ci/steps/setup.sh test). With one thread a time is the processor's, which says nearly
the same on a machine with other work; with more it is the clock's, and nothing else should run meanwhile. Even so,
ratios of the shortest calls differ by 15 % from run to run where caches and memory are shared.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "operators"))

from pairs import NETWORKS, NODES

BLOCKS, CALLS, SECONDS = 9, 30, 0.25
"""Blocks of each side, and in a block: calls at most, seconds at most."""

PAUSE_SECONDS = 0.02
"""Between blocks: threads of the other side stop waiting for work."""

OPSET = 17
COLUMNS = ("operator", "ours, ms", "ONNX Runtime, ms", "ratio", "quartiles", "error", "compile, s")

Call = Callable[[], Any]


@dataclass
class Pair:
    """One operator: as Relax, as ONNX, and its inputs."""

    imported: Any
    onnx: bytes
    inputs: list[np.ndarray[Any, Any]]


def drawn(text: str, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Return an input as `pairs` describes it."""
    kind, _, rest = text.rpartition(":")
    shape, _, limit = rest.partition("<")
    extents = tuple(map(int, shape.split(",")))
    if not kind:
        if limit:
            return random.integers(0, int(limit), extents)
        return random.standard_normal(extents, dtype=np.float32)
    first = random.uniform(0, 0.8 * int(limit), (*extents, 2))
    boxes = np.concatenate([first, first + random.uniform(8, 0.2 * int(limit), (*extents, 2))], -1)
    if kind == "regions":
        boxes = np.concatenate([np.zeros((*extents, 1)), boxes], -1)
    return boxes.astype(np.float32)


def make_pair(name: str) -> Pair:
    """Return an operator as both sides read it."""
    text, given = NETWORKS.get(name) or NODES[name]
    random = np.random.default_rng(0)
    inputs = [drawn(part, random) for part in given.split()]
    return from_torch(text, inputs) if name in NETWORKS else from_onnx(text, inputs)


def from_torch(text: str, inputs: list[np.ndarray[Any, Any]]) -> Pair:
    """Trace a torch module, and export it."""
    import torch
    from torch import nn
    from torch.nn import functional

    from ovenbird.networks.torch.importer import import_exported

    class Function(nn.Module):
        """A function of tensors, or one of a module's outputs."""

        def __init__(self, function: Callable[..., Any], output: int | None = None) -> None:
            super().__init__()
            self.function, self.output = function, output

        def forward(self, *inputs: torch.Tensor) -> Any:
            outputs = self.function(*inputs)
            return outputs if self.output is None else outputs[self.output]

    torch.manual_seed(0)
    module = eval(text, {"nn": nn, "F": functional, "torch": torch, "Function": Function}).eval()
    tensors = tuple(map(torch.from_numpy, inputs))
    buffer = io.BytesIO()
    with torch.no_grad():
        imported = import_exported(torch.export.export(module, tensors))
        torch.onnx.export(module, tensors, buffer, opset_version=OPSET, dynamo=False)
    return Pair(imported, buffer.getvalue(), inputs)


def from_onnx(text: str, inputs: list[np.ndarray[Any, Any]]) -> Pair:
    """Read an ONNX graph."""
    import onnx.parser

    from ovenbird.networks.onnx.importing import import_model

    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {OPSET}]> {text}')
    shapes = {value.name: given.shape for value, given in zip(model.graph.input, inputs, strict=True)}
    return Pair(import_model(model, shapes), model.SerializeToString(), inputs)


def own(pair: Pair) -> tuple[Call, Call]:
    """Compile the network; return its call, and one that gives its first output."""
    import tvm
    from tvm import relax

    from ovenbird.backends.building import build_module
    from ovenbird.lowering.entry_key import EntryKey
    from ovenbird.targets import load_target

    built = build_module({EntryKey(batch=int(pair.inputs[0].shape[0])): pair.imported}, load_target("host"))
    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    tensors = [tvm.runtime.tensor(value) for value in pair.inputs]
    tensors += [tvm.runtime.tensor(built.tensors[index]) for index in built.entries[0].weights]
    function = machine[built.entries[0].function]

    def first() -> Any:
        result = function(*tensors)
        return (result if hasattr(result, "numpy") else result[0]).numpy()

    return lambda: function(*tensors), first


def theirs(pair: Pair, threads: int) -> Call:
    """Return ONNX Runtime's call."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(pair.onnx, options, providers=["CPUExecutionProvider"])
    given = {spec.name: value for spec, value in zip(session.get_inputs(), pair.inputs, strict=True)}
    return lambda: session.run(None, given)


def block(call: Call, clock: Callable[[], float]) -> float:
    """Return the shortest of some calls, in seconds of a clock."""
    time.sleep(PAUSE_SECONDS)
    shortest, end = float("inf"), clock() + SECONDS
    for _ in range(CALLS):
        start = clock()
        call()
        shortest = min(shortest, clock() - start)
        if clock() > end:
            break
    return shortest


def time_one(name: str, threads: int) -> list[str]:
    """Time one pair in this process, and return its row of the table."""
    warnings.simplefilter("ignore")
    pair = make_pair(name)
    start = time.perf_counter()
    call, first = own(pair)
    compiled = time.perf_counter() - start
    peer = theirs(pair, threads)
    found, wanted = first(), peer()[0]
    clock = time.process_time if threads == 1 else time.perf_counter
    pairs = []
    for turn in range(BLOCKS):
        sides = (call, peer) if turn % 2 else (peer, call)
        times = {side: block(side, clock) for side in sides}
        pairs.append((times[call], times[peer]))
    ours, other = (min(side) for side in zip(*pairs, strict=True))
    low, _, high = statistics.quantiles([a / b for a, b in pairs], n=4)
    numbers = f"{ours * 1e3:.3f}", f"{other * 1e3:.3f}", f"{ours / other:.2f}", f"{low:.2f} to {high:.2f}"
    return [name, *numbers, difference(found, wanted), f"{compiled:.1f}"]


def difference(found: Any, wanted: Any) -> str:
    """Return the largest difference by the largest value; nothing where one side leaves out what is not there."""
    if found.shape != wanted.shape:
        return ""
    error = np.abs(found.astype(np.float64) - wanted).max() / max(np.abs(wanted.astype(np.float64)).max(), 1e-6)
    return f"{error:.0e}" if error else "0"


def in_a_process(name: str, threads: int) -> list[str]:
    """Time one pair in a process that this one, which has everything imported already, forks."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            row = time_one(name, threads)
        except BaseException as error:  # noqa: BLE001 - whatever it was is the row's reason
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            row = [name, "", "", "", "", f"failed: {reason[:100]}", ""]
        os.write(writing, "|".join(row).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        row = pipe.read().decode().split("|")
    os.waitpid(child, 0)
    return row if len(row) == len(COLUMNS) else [name, "", "", "", "", "failed: the process died", ""]


def table(rows: list[list[str]]) -> str:
    """Return rows as Markdown, with what they come to."""
    ratios = {row[0]: float(row[1]) / float(row[2]) for row in rows if row[3]}
    lines = [f"| {' | '.join(row)} |" for row in (list(COLUMNS), ["---", *["---:"] * (len(COLUMNS) - 1)], *rows)]
    if ratios:
        mean = math.exp(statistics.fmean(map(math.log, ratios.values())))
        worst = max(ratios, key=lambda name: ratios[name])
        lines += ["", f"{len(ratios)} pairs: geometric mean **{mean:.2f}**, largest {ratios[worst]:.2f} ({worst})."]
    return "\n".join(lines)


def keep(path: Path, rows: list[list[str]], threads: int) -> None:
    """Write a page with the rows; those of other pairs that it has already stay."""
    from ovenbird.records.provenance import cpu_name

    cells = [line.strip("| ").split(" | ") for line in path.read_text().splitlines()] if path.exists() else []
    known = {row[0]: row for row in cells if len(row) == len(COLUMNS)}
    known |= {row[0]: row for row in rows}
    listed = [known[name] for name in (*NETWORKS, *NODES) if name in known]
    head = f"""# Single operators

`ci/steps/operators.py --threads {threads} --output {path}`

- {datetime.now(timezone.utc):%Y-%m-%d}; {cpu_name()}; threads: {threads}; float32.
- Untuned, each operator alone, the conversions of its layout included. Measured with other work on the
  machine: believe differences above 15 %.
- A ratio is our shortest call by ONNX Runtime's (below 1: Ovenbird is faster); the quartiles are those of single blocks
  of calls in turn (none: the shortest calls of one second each). An error is the largest difference by the largest
  value. Compiling is that of the operator alone.
"""
    path.write_text(f"{head}\n{table(listed)}\n")


def known_rows(path: Path | None) -> dict[str, list[str]]:
    """Return the rows of a file by their names."""
    rows = [line.split("|") for line in path.read_text().splitlines()] if path is not None and path.exists() else []
    return {row[0]: row for row in rows}


def main() -> int:
    """Time the operators that were asked for, each in a process of its own."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("words", nargs="*", help="operators whose names have one of these words")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--most", type=float, default=float("inf"), help="exit code 1 where a ratio is above it")
    parser.add_argument("--output", type=Path, help="a Markdown page to keep the rows in")
    parser.add_argument("--rows", type=Path, help="a file of rows: those in it are taken as they are, others added")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no more operators after so long")
    options = parser.parse_args()
    os.environ |= {"TVM_NUM_THREADS": str(options.threads), "TVM_BIND_THREADS": "0"}
    import onnxruntime  # noqa: F401 - for the processes that are forked
    import torch.onnx  # noqa: F401

    import ovenbird.backends.cpu.compiler
    import ovenbird.networks.onnx.importing
    import ovenbird.networks.torch.importer  # noqa: F401

    names = [name for name in (*NETWORKS, *NODES) if any(word in name for word in options.words or [""])]
    print(table([]), flush=True)
    kept = known_rows(options.rows)
    rows, end = [], time.monotonic() + options.seconds
    for name in names:
        if name not in kept:
            if time.monotonic() > end:
                print(f"{len(rows)} of {len(names)}: begin again for the rest")
                return 2
            kept[name] = in_a_process(name, options.threads)
            if options.rows is not None:
                with options.rows.open("a") as file:
                    file.write("|".join(kept[name]) + "\n")
        rows.append(kept[name])
        print(f"| {' | '.join(rows[-1])} |", flush=True)
    if options.output is not None:
        keep(options.output, rows, options.threads)
    print(table(rows).splitlines()[-1])
    return 1 if any(not row[3] or float(row[3]) > options.most for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Compiles ONNX's node tests and compares: a process of its own, which a crash of one may end.

Reads names of tests, one a line; writes one line of JSON a test: {"name", "result", "why"}, and before a test that is
compiled or run alone {"trying": name}. Several are built into one library, as one network of several batch sizes is.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case, collect_once

TOGETHER = 24
"""Tests in one library; one alone takes as long as many."""

HALF_RTOL = 2e-3
"""Two units in the last place of float16: the tests round after each operator, the compiler once, at the end."""

RIGHT, REFUSED, WRONG, INTERNAL = "right", "refused", "WRONG", "INTERNAL"


def main() -> None:
    """Try the tests named on standard input."""
    cases = {case.name: case for case in collect_once(Path(sys.argv[1]))}
    names = sys.stdin.read().split()
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no report
    for start in range(0, len(names), TOGETHER):
        try_cases([cases[name] for name in names[start : start + TOGETHER]], report)


def try_cases(cases: Sequence[Case], report: Any) -> None:
    """Import each, build all together, run each."""

    def tell(case: Case, result: str, why: object = "") -> None:
        report.write(json.dumps({"name": case.name, "result": result, "why": str(why)[:400]}) + "\n")

    from ovenbird.errors import CompilerError

    imported = []
    for case in cases:
        report.write(json.dumps({"trying": case.name}) + "\n")
        try:
            imported.append((case, import_case(case)))
        except CompilerError as error:
            tell(case, typed(error), f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this test's result
            tell(case, INTERNAL, f"{type(error).__name__}: {error}")
    build_and_run(imported, report, tell)


def typed(error: Exception) -> str:
    """Return whether an error is a refusal: of a type that names what is unsupported, on one line."""
    from ovenbird.errors import NetworkUnreadable, UnsupportedOperator, UsageError

    refusal = isinstance(error, (UnsupportedOperator, NetworkUnreadable, UsageError))
    return REFUSED if refusal and "\n" not in str(error) else INTERNAL


def import_case(case: Case) -> Any:
    """Import a test's model as `ovenbird compile` does."""
    import onnx

    from ovenbird.networks.onnx.source import OnnxSource

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        onnx.save(case.model, str(path))
        source = OnnxSource.read(path, {name: array.shape for name, array in case.inputs.items()})
        batches = [array.shape[0] for array, dims in zip(case.inputs.values(), source.dims, strict=True) if "N" in dims]
        return source.relax(batches[0] if batches else None)


def build_and_run(imported: Sequence[Any], report: Any, tell: Any) -> None:
    """Build modules into one library; where that fails, each half by itself."""
    from ovenbird.backends.building import build_module
    from ovenbird.lowering.entry_key import EntryKey
    from ovenbird.targets import load_target

    if not imported:
        return
    if len(imported) == 1:
        report.write(json.dumps({"trying": imported[0][0].name}) + "\n")
    try:
        networks = {EntryKey(f"test{index}"): module for index, (_, module) in enumerate(imported)}
        built = build_module(networks, load_target("host"))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a test's result
        if len(imported) == 1:
            tell(imported[0][0], INTERNAL, f"{type(error).__name__}: {error}")
            return
        half = len(imported) // 2
        build_and_run(imported[:half], report, tell)
        build_and_run(imported[half:], report, tell)
        return
    for entry, (case, _) in zip(built.entries, imported, strict=True):
        report.write(json.dumps({"trying": case.name}) + "\n")
        try:
            found = run(built, entry, case)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this test's result
            tell(case, INTERNAL, f"{type(error).__name__}: {error}")
            continue
        why = difference(case, found)
        tell(case, WRONG if why else RIGHT, why)


def run(built: Any, entry: Any, case: Case) -> list[Any]:
    """Run one function of the library."""
    import tvm
    from tvm import relax

    machine = relax.VirtualMachine(built.executable, tvm.cpu())
    given = [tvm.runtime.tensor(np.array(array, order="C")) for array in case.inputs.values()]
    weights = [tvm.runtime.tensor(built.tensors[index]) for index in entry.weights]
    return [tensor.numpy() for tensor in machine[entry.function](*given, *weights)]


def difference(case: Case, found: Sequence[Any]) -> str:
    """Return how the outputs differ from those expected, nothing where they do not."""
    if len(found) != len(case.expected):
        return f"{len(found)} outputs, expected {len(case.expected)}"
    for index, (got, expected) in enumerate(zip(found, case.expected, strict=True)):
        if got.dtype != expected.dtype or got.shape != expected.shape:
            return f"output {index} is {got.dtype}{list(got.shape)}, expected {expected.dtype}{list(expected.shape)}"
        exact = expected.dtype.kind in "biu"
        rtol = max(case.rtol, HALF_RTOL) if expected.dtype == np.float16 else case.rtol
        atol = case.atol
        if expected.dtype == np.float32 and np.isfinite(expected).any():  # numpy's own Fourier transforms leave as much
            atol = max(atol, float(np.finfo(np.float32).eps) * float(np.abs(expected[np.isfinite(expected)]).max()))
        if exact and not np.array_equal(got, expected):
            return f"output {index}: {int((got != expected).sum())} of {expected.size} values differ"
        if not exact and not np.allclose(
            got.astype(np.float64), expected.astype(np.float64), rtol, atol, equal_nan=True
        ):
            with np.errstate(all="ignore"):
                worst = np.nanmax(np.abs(got.astype(np.float64) - expected.astype(np.float64)))
            return f"output {index} differs by up to {worst:.3g}"
    return ""


if __name__ == "__main__":
    main()

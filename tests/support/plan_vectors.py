"""Write conformance/plans: plans that every runtime must read, and plans that every runtime must refuse.

    PYTHONPATH=tests python tests/support/plan_vectors.py conformance/plans

Each hostile one differs from a valid one in a single place, so that only the rule it is named after can refuse it.
"""

from __future__ import annotations

import copy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ovenbird_runtime.artifact.plan_file import json_text

Value = dict[str, Any]

# What the plans run with: `inputs` and `outputs` as in manifest.json, `tensors` as in target.json.
PROGRAM: Value = {
    "inputs": [
        {"name": "image", "dtype": "float32", "shape": ["N", 3, 8, 8], "layout": "NCHW"},
        {"name": "scale", "dtype": "float32", "shape": [], "layout": ""},
    ],
    "outputs": [
        {"name": "logits", "dtype": "float32", "shape": ["N", 10], "layout": ""},
        {"name": "features", "dtype": "float32", "shape": ["N", 64], "layout": ""},
    ],
    "tensors": [
        {"file": "weights/a.bin", "offset": 0, "dtype": "float32", "shape": [3, 16]},
        {"file": "weights/a.bin", "offset": 192, "dtype": "float32", "shape": [64, 10]},
    ],
}
HUGE = 2**31


def buffer(place: str, at: int, *shape: int, dtype: str = "float32") -> Value:
    return {"place": place, "at": at, "dtype": dtype, "shape": list(shape)}


def call(kernel: str, reads: list[int], writes: list[int]) -> Value:
    return {"kernel": kernel, "reads": reads, "writes": writes}


def chain(batch: int = 1) -> Value:
    """Return an entry: a convolution, its mean as two views, a product whose result takes the convolution's place."""
    wide, narrow = 4096 * batch, 256 * batch
    return {
        "program": "main",
        "batch": batch,
        "size": [],
        "arena_bytes": wide + narrow,
        "constants": ["0000803f0000803f"],
        "buffers": [
            buffer("input", 0, batch, 3, 8, 8),
            buffer("weight", 0, 3, 16),
            buffer("arena", 0, batch, 1, 8, 8, 16),
            buffer("arena", wide, batch, 1, 4, 16),
            buffer("arena", wide, batch, 64),  # the same bytes, otherwise seen
            buffer("weight", 1, 64, 10),
            buffer("constant", 0, 2),
            buffer("input", 1),
            buffer("arena", 0, batch, 10),
        ],
        "calls": [
            call("fused_conv2d_relu", [0, 1], [2]),
            call("spatial_mean", [2], [3]),
            call("fused_dense_add", [4, 5, 6, 7], [8]),
        ],
        "outputs": [8, 4],
    }


def plan(*entries: Value) -> Value:
    return {"plan_version": 1, "alignment": 64, "entries": list(entries)}


def split() -> Value:
    """Return an entry whose one kernel writes both outputs, and one of which two reads are the same buffer."""
    entry = chain()
    entry["calls"] = [call("split", [0, 0, 1], [2, 4]), call("fused_dense_add", [4, 5, 6, 7], [8])]
    return entry


def passing() -> Value:
    """Return an entry that calls nothing: its outputs are a weight seen as a row, and a constant."""
    entry = chain()
    entry["arena_bytes"] = 0
    entry["constants"] = ["00" * 40, "00" * 256]
    entry["buffers"] = [buffer("constant", 0, 1, 10), buffer("constant", 1, 1, 64)]
    entry["calls"], entry["outputs"] = [], [0, 1]
    return entry


VALID: dict[str, Value] = {
    "chain": plan(chain()),
    "batches": plan(chain(1), chain(4)),
    "sizes": plan(chain(), chain() | {"size": [320, 256]}),
    "two-writes": plan(split()),
    "no-calls": plan(passing()),
}


def changed(change: Callable[[Value], Any]) -> str:
    """Return the plan `chain` with its entry changed."""
    value = copy.deepcopy(VALID["chain"])
    change(value["entries"][0])
    return json_text(value) + "\n"


def at(index: int, **fields: Any) -> str:
    return changed(lambda entry: entry["buffers"][index].update(fields))


def calling(index: int, **fields: Any) -> str:
    return changed(lambda entry: entry["calls"][index].update(fields))


def clobbered() -> str:
    """Return a plan whose second kernel writes to where it reads."""

    def change(entry: Value) -> None:
        entry["buffers"][4]["at"] = 0
        entry["calls"][1]["writes"] = [4]

    return changed(change)


def inner_write(reads: list[int]) -> str:
    """Give a plan whose second kernel writes into the middle of the convolution's result, reading `reads`."""

    def change(entry: Value) -> None:
        entry["buffers"].append(buffer("arena", 64, 1, 16))
        entry["calls"].insert(1, call("inner", reads, [9]))

    return changed(change)


def late_write() -> str:
    """Return a plan whose last kernel writes over an output."""

    def change(entry: Value) -> None:
        entry["buffers"].append(buffer("arena", 0, 1, 16))
        entry["calls"].append(call("late", [4], [len(entry["buffers"]) - 1]))

    return changed(change)


def whole(**fields: Any) -> str:
    return json_text(copy.deepcopy(VALID["chain"]) | fields) + "\n"


# A hostile plan's name -> the rule it breaks (docs/explanation/plan.md) and its text.
HOSTILE: dict[str, tuple[str, str]] = {
    "not-json": ("json", '{"plan_version": 1,'),
    "nan": ("json", whole().replace('"arena_bytes": 4352', '"arena_bytes": NaN')),
    "a-field-twice": ("json", whole().replace('"alignment": 64', '"alignment": 64, "alignment": 64')),
    "deep": ("json", '{"plan_version": ' + "[" * 100 + "]" * 100 + "}"),
    "later": ("version", whole(plan_version=2)),
    "no-version": ("schema", json_text({"alignment": 64, "entries": [chain()]})),
    "unknown-field": ("schema", whole(author="x")),
    "other-alignment": ("schema", whole(alignment=32)),
    "no-entries": ("schema", whole(entries=[])),
    "no-outputs": ("schema", changed(lambda e: e.update(outputs=[]))),
    "negative-offset": ("schema", at(3, at=-64)),
    "fraction": ("schema", at(3, at=64.5)),
    "truth-for-a-number": ("schema", at(3, at=True)),
    "unknown-dtype": ("schema", at(2, dtype="complex64")),
    "unknown-place": ("schema", at(2, place="stack")),
    "empty-shape": ("schema", at(2, shape=[1, 0, 16])),
    "nine-dimensions": ("schema", at(2, shape=[1] * 9)),
    "huge-arena": ("schema", changed(lambda e: e.update(arena_bytes=2**34 + 1))),
    "kernel-with-a-path": ("schema", calling(0, kernel="../../evil")),
    "kernel-without-a-name": ("schema", calling(0, kernel="")),
    "odd-hexadecimal": ("schema", changed(lambda e: e.update(constants=["0000803f0000803"]))),
    "same-entry-twice": ("unique", json_text(plan(chain(), chain()))),
    "off-the-boundary": ("alignment", at(8, at=4)),
    "beyond-the-arena": ("arena", at(3, at=4160)),
    "far-beyond-the-arena": ("arena", at(3, at=2**34 - 64)),
    "product-of-sizes-wraps": ("arena", at(2, shape=[HUGE, HUGE, 4])),  # 2**64 elements
    "bytes-wrap": ("arena", at(2, shape=[HUGE, HUGE])),  # 2**64 bytes
    "no-such-constant": ("constant", at(6, at=1)),
    "constant-too-short": ("constant", at(6, shape=[4])),
    "no-such-buffer": ("index", calling(0, reads=[0, 9])),
    "no-such-output": ("index", changed(lambda e: e.update(outputs=[8, 9]))),
    "writes-nothing": ("writes", calling(1, writes=[])),
    "writes-a-weight": ("writes", calling(0, reads=[0], writes=[1])),
    "writes-an-input": ("writes", calling(0, reads=[1], writes=[0])),
    "writes-a-constant": ("writes", calling(0, writes=[6])),
    "writes-over-its-input": ("apart", clobbered()),
    "writes-into-its-input": ("apart", inner_write([2])),
    "writes-one-place-twice": ("apart", calling(0, writes=[2, 8])),
    "reads-what-nobody-wrote": ("held", calling(0, reads=[0, 1, 3])),
    "reads-too-early": ("held", changed(lambda e: e["calls"].reverse())),
    "reads-what-was-overwritten": ("held", changed(lambda e: e["calls"].append(call("late", [2], [3])))),
    "reads-what-was-overwritten-in-part": ("held", inner_write([0])),
    "reads-a-part": ("held", at(4, shape=[1, 32])),
    "reads-another-dtype": ("held", at(4, dtype="int32")),
    "output-was-overwritten": ("held", late_write()),
    "output-nobody-wrote": ("held", changed(lambda e: e["calls"].pop())),
    "no-such-input": ("program", at(7, at=2)),
    "no-such-weight": ("program", at(5, at=2)),
    "input-too-large": ("program", at(0, shape=[1, 3, 8, 9])),
    "input-of-another-dtype": ("program", at(0, dtype="int32")),
    "weight-too-large": ("program", at(5, shape=[64, 11])),
    "a-part-of-a-weight": ("program", at(5, shape=[64, 9])),
    "outputs-in-another-order": ("program", changed(lambda e: e.update(outputs=[4, 8]))),
    "one-output-too-few": ("program", changed(lambda e: e.update(outputs=[8]))),
    "output-of-another-shape": ("program", at(8, shape=[10, 1])),
    "other-batch": ("program", changed(lambda e: e.update(batch=2))),
}  # fmt: skip


def cases() -> list[Value]:
    """Return what is expected of each file."""
    found: list[Value] = [{"plan": f"valid/{name}.json", "error": None, "rule": None} for name in VALID]
    for name, (rule, _) in HOSTILE.items():
        error = "ManifestTooNew" if rule == "version" else "PlanInvalid"
        found.append({"plan": f"hostile/{name}.json", "error": error, "rule": rule})
    return found


def write(folder: Path) -> None:
    """Write all files, and remove those that are no longer there."""
    for name in ("valid", "hostile"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    for name, value in VALID.items():
        (folder / "valid" / f"{name}.json").write_text(json_text(value) + "\n")
    for name, (_, text) in HOSTILE.items():
        (folder / "hostile" / f"{name}.json").write_text(text)
    (folder / "program.json").write_text(json_text(PROGRAM) + "\n")
    (folder / "cases.json").write_text(json_text(cases()) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))

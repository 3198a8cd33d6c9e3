"""Answers in files: read by name when asked for, joined row by row, gone with their last reader."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np

from ovenbird.verify.stored import Joined, read_cases, stored, write_cases
from ovenbird_runtime.manifest.agreement import LIMITS, compare


def test_cases_are_read_by_name_after_their_folder_is_gone(tmp_path: Path) -> None:
    cases = {"a": {"x": np.arange(6.0).reshape(2, 3), "y/z": np.ones(2)}, "b": {"x": np.zeros((1, 3))}}
    write_cases(tmp_path / "cases.npz", cases)
    found = read_cases(tmp_path / "cases.npz")
    (tmp_path / "cases.npz").unlink()
    assert {case: list(arrays) for case, arrays in found.items()} == {"a": ["x", "y/z"], "b": ["x"]}
    np.testing.assert_array_equal(found["a"]["y/z"], cases["a"]["y/z"])
    np.testing.assert_array_equal(stored("c", [cases["b"]])["x"], cases["b"]["x"])
    joined = Joined.of(list(found.values()), "x", batched=True)
    assert joined.shape == (3, 3)
    np.testing.assert_array_equal(list(joined), [[0, 1, 2], [3, 4, 5], [0, 0, 0]])
    assert Joined.of([found["a"], found["a"]], "x", batched=False).shape == (2, 2, 3)


def test_large_answers_are_judged_a_few_rows_at_a_time() -> None:
    shape, rows = (4, 128, 128), 16
    right = [np.random.default_rng(i).standard_normal((1, *shape), np.float32) for i in range(rows)]
    references = [stored("case", [{"map": array}]) for array in right]
    answers = [stored("case", [{"map": array + np.float32(1e-7)}]) for array in right]
    row = 8 * right[0].size
    tracemalloc.start()
    found = compare(Joined.of(answers, "map", True), Joined.of(references, "map", True), LIMITS["f32"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.fault == ""
    assert found == compare(np.concatenate([a["map"] for a in answers]), np.concatenate(right), LIMITS["f32"])
    assert peak < 8 * row

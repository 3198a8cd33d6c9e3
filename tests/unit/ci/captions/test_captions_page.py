"""The captions' benchmark: which tokens are counted as others, and what the page says of many callers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ovenbird.verify.texts import TokenAgreement

CAPTIONS = Path(__file__).resolve().parents[4] / "ci" / "captions"


def script(name: str) -> ModuleType:
    """Return a module of ci/captions under a name that no other folder's has."""
    spec = importlib.util.spec_from_file_location(f"captions_{name}", CAPTIONS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_an_agreement_is_said_in_words() -> None:
    said = script("tokens").line_of(TokenAgreement(texts=4, same=1, compared=10, differ=3))
    assert said.startswith("1 of 4 captions are those of transformers")
    assert "of 10 tokens behind the same ones 3 differ (30.0%)" in said


def test_pieces_of_photographs_are_always_the_same() -> None:
    pictures = script("tokens").pictures
    first, again = pictures(5, 32), pictures(5, 32)
    assert [one.shape for one in first] == [(1, 3, 32, 32)] * 5
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert len({one.tobytes() for one in first}) == 5


def cell(server: str, concurrency: int, per_second: float) -> dict[str, Any]:
    """Return a cell of the results."""
    return {
        "server": server, "concurrency": concurrency, "requests": 32, "batch": 0, "seconds": 1.0, "failed": 0,
        "per_second": per_second, "p50_ms": 5.0, "p99_ms": 9.0, "times_ms": [4, 5, 9], "memory_mib": 300,
    }  # fmt: skip


def found(precision: str, **of_many: float) -> dict[str, Any]:
    """Return results of one caller and of sixteen."""
    ms = {"encoder": 40.0, "prefill": 20.0, "step of 1": 3.0, "step of 16": 8.0, **of_many}
    programs = {"engines": ["ovenbird"], "ms": {key: {"ovenbird": value} for key, value in ms.items()}, "bars": []}
    cells = [cell("ovenbird", 1, 8.0), cell("ovenbird", 16, 13.0), cell("other", 16, 99.0)]
    return {"chip": "chip", "processors": 2, "tokens": 20, "precision": precision, "programs": programs | {"notes": []},
            "cells": {str(place): one for place, one in enumerate(cells)}}  # fmt: skip


def test_the_page_says_what_sixteen_callers_can_get(tmp_path: Path) -> None:
    script("page").write_page(found("bf16"), tmp_path / "captions.md")
    text = (tmp_path / "captions.md").read_text()
    assert "They get 1.62 times the captions/s of one caller (bar: 2.5, does not hold)." in text
    assert "it would be 1.71:" in text  # (60 + 20 * 3) / (60 + 20 * 8 / 16)
    assert "With steps for nothing it would be 2.00." in text
    assert "products with weights are of bfloat16" in text

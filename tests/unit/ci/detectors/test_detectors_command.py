"""The command that times detectors: its list, its page, and that its peers do what the runtime does."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ovenbird.regions import pool_regions
from ovenbird.suppression import grouped_nms
from ovenbird_runtime.manifest.answers import Boxes
from ovenbird_runtime.manifest.steps import Normalise, Resize, letterbox
from ovenbird_runtime.options import PredictOptions
from ovenbird_runtime.postprocess.boxes import BOXES
from ovenbird_runtime.postprocess.kind import Asked
from ovenbird_runtime.preprocess.images import open_image
from ovenbird_runtime.preprocess.interpreted import prepare
from support.command_modules import COMMANDS, command_modules

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COMMAND = COMMANDS / "detectors"
MODULES = ("peer", "page", "trying", "timing", "onnx_forms", "holding")


@pytest.fixture(scope="module")
def command() -> Iterator[dict[str, ModuleType]]:
    """The command's modules."""
    pytest.importorskip("cv2", reason="no OpenCV (make setup)")
    with command_modules("detectors", MODULES) as modules:
        yield modules


def photo() -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((200, 120), Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
    return file.getvalue()


def test_every_detector_of_the_list_says_what_it_is() -> None:
    listed = tomllib.loads((COMMAND / "detectors.toml").read_text(encoding="utf-8"))
    assert len(listed) >= 8
    for facts in listed.values():
        assert facts["title"]
        assert facts["network"]
        assert facts.keys() <= {
            "title",
            "network",
            "weights",
            "labels",
            "darknet",
            "own_file",
            "size",
            "table",
            "sample",
        }


@pytest.mark.parametrize(
    "steps",
    [
        (Resize(exact=(64, 96), interpolation="opencv-linear"), Normalise()),
        (*letterbox((96, 96)), Normalise(mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2))),
        (*letterbox((96, 64), place="top-left", value=(1, 2, 3)), Normalise(std=(0.2, 0.3, 0.4), order="bgr")),
        (*letterbox((97, 96), value=None, rounding="down"), Normalise(mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.2))),
    ],
    ids=["stretch", "letterbox", "top left", "zeros"],
)
def test_peers_are_given_the_same_tensor(command: dict[str, ModuleType], steps: Any) -> None:
    tensor, back = command["peer"].tensor_of(photo(), steps)
    expected, frame = prepare(steps, open_image(photo()))
    np.testing.assert_allclose(tensor[0], expected, atol=2e-6 * np.abs(expected).max())
    np.testing.assert_allclose(back.offset[:2], frame.offset)
    np.testing.assert_allclose(back.scale[:2], frame.scale)


def test_peers_give_the_same_boxes(command: dict[str, ModuleType]) -> None:
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 80, (300, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(5, 40, (300, 2))], 1).astype(np.float32)
    outputs = {
        "boxes": boxes[None],
        "scores": rng.uniform(0, 1, (1, 300)).astype(np.float32),
        "classes": rng.integers(0, 5, (1, 300)).astype(np.int32),
    }
    steps = (*letterbox((96, 96)), Normalise())
    _, back = command["peer"].tensor_of(photo(), steps)
    found = command["peer"].boxes_of(outputs, back, command["peer"].Settings(0.3, 0.45, 100))
    _, frame = prepare(steps, open_image(photo()))
    [expected] = BOXES.answers(Boxes(score=0.3), outputs, Asked(PredictOptions(), {}, (frame,)))
    seen = [one for one in found if one["box"][0] < one["box"][2] and one["box"][1] < one["box"][3]]
    assert [one["label"] for one in seen] == [one.label for one in expected][: len(seen)]
    np.testing.assert_allclose([one["box"] for one in seen], [one.box for one in expected][: len(seen)], atol=1e-3)


class TwoStages(torch.nn.Module):
    """Our two operators in a network."""

    def forward(
        self, maps: torch.Tensor, boxes: torch.Tensor, scores: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        groups = (boxes[..., 0] > 7).to(torch.int64)
        kept = grouped_nms(boxes, scores, groups, 0.4, 30)
        regions = torch.cat((torch.zeros(30, 1), boxes[0, kept[0].clamp(min=0)]), 1)
        levels = (kept[0] % 2).to(torch.int32)
        return kept, pool_regions([maps, maps[:, :, ::2, ::2]], regions, levels, [0.5, 0.25], 7, 2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter warns of itself
def test_our_operators_have_a_form_in_onnx(command: dict[str, ModuleType], tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="no ONNX Runtime (make setup)")
    generator = torch.Generator().manual_seed(2)
    corners = torch.rand(1, 40, 2, generator=generator) * 14
    boxes = torch.cat((corners, corners + 4 + torch.rand(1, 40, 2, generator=generator) * 20), -1)
    scores = torch.rand(1, 40, generator=generator)
    scores[0, 5] = -1.0
    given = (torch.randn(1, 3, 32, 32, generator=generator), boxes, scores)
    command["onnx_forms"].register()
    names = ["maps", "boxes", "scores"]
    torch.onnx.export(TwoStages(), given, str(tmp_path / "n.onnx"), dynamo=False, opset_version=17, input_names=names)
    session = onnxruntime.InferenceSession(str(tmp_path / "n.onnx"))
    kept, pooled = session.run(None, {name: value.numpy() for name, value in zip(names, given, strict=True)})
    right, expected = TwoStages()(*given)
    assert kept.tolist() == right.tolist()
    there = right[0].numpy() >= 0
    assert 5 < there.sum() < 30
    np.testing.assert_allclose(pooled[there], expected.numpy()[there], atol=1e-5)


def test_the_page_has_a_ratio_and_its_mean(command: dict[str, ModuleType]) -> None:
    peer = {"ms": 20.0, "low": 0.45, "ratio": 0.5, "high": 0.6}
    right = {
        "name": "one", "title": "One", "outcome": "right", "chip": "chip", "threads": 2, "weights": "random:0",
        "compile_seconds": 3.2, "artifact_bytes": 2_000_000, "size": [64, 96], "agreed": 0.99, "compared": 200,
        "image_bytes": 4_100_000,
        "parameters": 1_500_000, "weights_bytes": 6_000_000, "photos": 5, "score": 0.2, "onnx": {},
        "missing_batch_1": {"openvino, batch 1": "no such operator"},
        "boxes": {"ovenbird": [2], "ort": [2]},
        "end_to_end": {"ovenbird": {"ms": 10.0}, "ovenbird-native": {"ms": 9.0}, "ort": {**peer, "native": 0.44}},
        "batch_1": {"ovenbird": {"ms": 8.0}, "ort": {**peer, "ratio": 0.8}},
    }  # fmt: skip
    failed = {"name": "two", "title": "Two", "outcome": "failed", "why": "error: no such thing"}
    text = command["page"].page([right, failed])
    assert "| One | 64x96 | random:0 | 10.0 | 9.0 | 20.0 |  |  |  | 100 | **0.50** | 0.45–0.60 | **0.44** |" in text
    assert (
        "**Our time from a JPEG by that of ONNX Runtime: 0.50**, geometric mean of 1, largest 0.50; above 1: none"
        in text
    )
    assert "**Our time in C++ from a JPEG by that of ONNX Runtime: 0.44**" in text
    assert "- Two: error: no such thing" in text
    assert "| One | 1.5 | 6.0 | 2.0 | 4.1 |" in text
    assert "at 8" not in text
    assert "- One: openvino, batch 1: no such operator" in text


def test_what_was_verified_has_a_page_of_its_own(command: dict[str, ModuleType]) -> None:
    right = {
        "title": "One", "outcome": "right", "chip": "a (b, c), 2 processors",
        "network": "one.cfg", "weights": "one.weights",
        "size": [64, 96], "agreed": 0.995, "compared": 200, "compile_seconds": 3.2, "artifact_bytes": 2_000_000,
        "processor_seconds": 2.4, "photographs": 25, "held": 200, "held_agreed": 199,
    }  # fmt: skip
    failed = {"title": "Two", "outcome": "failed", "why": "error: no such thing"}
    before = "| Two | `old` |\n" + "".join(f"| {title} | `old` |{' x |' * 11}\n" for title in ("Two", "Four", "One"))
    text = command["page"].verified([right, failed], ["Three", "Four", "One", "Two"], before)
    assert (
        "| One | `one.cfg` | one.weights | 64x96 | 99.5 % | 200 | 25 | 99.5 % | 200 | 3 | 2 | 2.0 | a (b, c) |" in text
    )
    rows = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[0] for row in rows] == ["| Four", "| One"]
    assert rows[0] == f"| Four | `old` |{' x |' * 11}"
    assert text.endswith("- Two: error: no such thing\n- Not tried: Three.\n")
    assert "- Not timed: One, Three." in command["page"].page([right], ["Three"])


def test_a_run_goes_on_where_time_was_over(
    command: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trying, did, kept = command["trying"], [], []

    def steps(*_: object) -> dict[str, Any]:
        return {name: lambda name=name: did.append(name) or {name: len(did)} for name in ("compile", "batch_1")}

    monkeypatch.setattr(trying, "_steps", steps)
    facts = {"title": "One", "network": "one"}
    with pytest.raises(trying.OutOfTime, match="one: compile is next"):
        trying.try_detector("one", facts, tmp_path / "work", trying.Settings(tmp_path, 1, until=0.0), kept.append, {})
    assert (did, kept) == ([], [])
    before = {"done": ["compile"], "compile": 7, "outcome": "right"}
    found = trying.try_detector("one", facts, tmp_path / "work", trying.Settings(tmp_path, 1), kept.append, before)
    assert did == ["batch_1"]
    assert (found["compile"], found["batch_1"], found["done"]) == (7, 1, ["compile", "batch_1"])
    assert kept == [found]
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(("facts", "size"), [({}, None), ({"size": "640"}, 640)])
def test_peers_get_the_network_at_the_size_that_was_compiled(
    command: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: dict[str, str], size: int
) -> None:
    def said(arguments: list[str], *_: object) -> str:
        (tmp_path / "network.json").write_text('{"onnx": {}}')
        return ""

    trying = command["trying"]
    monkeypatch.setattr(trying, "_said", said)
    trying._prepared(facts, "one", "random:0", tmp_path, trying.Settings(tmp_path, 1))
    assert json.loads((tmp_path / "request.json").read_text()).get("image_size") == size


def test_boxes_are_held_to_a_framework_s(command: dict[str, ModuleType]) -> None:
    holding = command["holding"]
    corners = np.array([[0, 0, 100, 100], [10, 10, 20, 20], [5, -9, 9, 0]], np.float32)
    found = holding.with_area((corners, np.array([0.9, 0.8, 0.7]), np.array([1, 2, 3])), np.array([64, 64, 64, 64]))
    assert found[0].tolist() == [[0, 0, 64, 64], [10, 10, 20, 20]]
    assert holding.has(found, ((10.01, 10, 20, 20), 0.8004, 2))
    for box in (((10, 10, 20, 19.8), 0.8, 2), ((10, 10, 20, 20), 0.802, 2), ((10, 10, 20, 20), 0.8, 1)):
        assert not holding.has(found, box)


def test_equal_scores_tie_where_boxes_suppress_each_other(command: dict[str, ModuleType]) -> None:
    holding = command["holding"]
    found = (np.array([[0, 0, 10, 10]], np.float32), np.array([0.9]), np.array([1]))
    assert holding.is_tied(found, ((0, 2, 10, 12), 0.9 + 5e-6, 1), 0.5)  # 80 of 120
    for box in (((0, 4, 10, 14), 0.9, 1), ((0, 2, 10, 12), 0.9001, 1), ((0, 2, 10, 12), 0.9, 2)):
        assert not holding.is_tied(found, box, 0.5)


def test_blocks_pair_their_ratios(command: dict[str, ModuleType]) -> None:
    ticks = iter(range(10**9))
    times = command["timing"]
    found = times.blocks(
        {"ovenbird": lambda _: next(ticks), "ort": lambda _: [next(ticks) for _ in range(3)]},
        [0],
        lambda: next(ticks),
        3,
        4,
    )
    assert found["ovenbird"]["ms"] == 2000
    assert found["ort"]["ms"] == 4000
    assert found["ort"]["low"] == found["ort"]["ratio"] == found["ort"]["high"] == 0.5

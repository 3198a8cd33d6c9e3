"""The command that holds the C++ runtime's outputs to the Python runtime's: it goes on, and says what differs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ovenbird_runtime.manifest.steps import imagenet
from support.command_modules import COMMANDS, command_modules

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COMMAND = COMMANDS / "equality"
MODULES = ("machines", "photographs", "trying", "page", "python_side")
FACTS = {"network": "net.onnx", "emulated": 8}


@pytest.fixture(scope="module")
def command() -> Iterator[dict[str, ModuleType]]:
    """The command's modules."""
    with command_modules("equality", MODULES) as modules:
        yield modules


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data/photos/some"
    folder.mkdir(parents=True)
    for place in range(30):
        pixels = np.random.default_rng(place).integers(0, 256, (9, 7, 3), np.uint8)
        Image.fromarray(pixels).resize((70, 90), Image.Resampling.BICUBIC).save(folder / f"{place}.jpg")
    return tmp_path / "data"


def test_every_network_says_how_many_photographs_are_emulated() -> None:
    listed = tomllib.loads((COMMAND / "networks.toml").read_text(encoding="utf-8"))
    assert len(listed) >= 12
    assert all(one["network"] and one["emulated"] % 8 == 0 for one in listed.values())


def test_views_are_photographs_where_there_are_too_few(command: dict[str, ModuleType], data: Path) -> None:
    find = command["photographs"].photographs
    found = find(data, data / "views", 48)
    assert len(set(found.paths)) == 48
    own = len(list((COMMAND.parents[1] / "compile/ovenbird/data").glob("*.jpg")))
    assert found.views == 48 - 30 - own > 0
    assert find(data, data / "views", 48) == found
    for path in found.paths:
        with Image.open(path) as picture:
            assert min(picture.size) > 50
    assert find(data, data / "views", 24).views == 0


@pytest.fixture
def settings(command: dict[str, ModuleType], data: Path) -> Any:
    pictures = command["photographs"].photographs(data, data / "views", 48)
    (data / "results/work/net").mkdir(parents=True)
    return command["trying"].Settings(data, data / "results", pictures, math.inf, 48)


@pytest.fixture
def calls(command: dict[str, ModuleType], data: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace compiling by an artifact that only describes; return what commands were run."""
    made: list[list[str]] = []
    model = SimpleNamespace(weights=SimpleNamespace(random=True))
    manifest = SimpleNamespace(
        inputs=(SimpleNamespace(name="image", shape=("N", 3, 224, 224)),), model=model,
        preprocess=SimpleNamespace(default="imagenet", pipelines={"imagenet": imagenet()}),
        variants=[SimpleNamespace(target=one.target) for one in command["machines"].MACHINES],
    )  # fmt: skip
    entries = [SimpleNamespace(batch=batch) for batch in (8, 1)]
    artifact = SimpleNamespace(
        manifest=manifest,
        root=data / "results/work/net/artifact",
        read_target=lambda _: SimpleNamespace(entries=entries),
    )
    monkeypatch.setattr(command["trying"], "_compiled", lambda *_: artifact.root)
    monkeypatch.setattr(command["trying"], "open_artifact", lambda _: artifact)
    monkeypatch.setattr(command["machines"].Sides, "why_not", lambda _, one: "" if "v3" in one.name else "not here")

    def said(words: list[str], limit_s: float) -> str:
        made.append(words)
        if "pictures" in words[0]:
            return "".join(f"{case['input']}\n" for case in json.loads(Path(words[1]).read_text(encoding="utf-8")))
        place = next(place for place, word in enumerate(words) if word.endswith(".npz"))
        with np.load(words[place]) as archive:
            rows = len(archive["image"])
        wrong = "outputs" in words[place - 3] and (data / "wrong").exists()
        digests = ["other" if wrong and row == 2 else "same" for row in range(rows)]
        return "".join(f"{way} {row} logits {one}\n" for way in words[place + 1 :] for row, one in enumerate(digests))

    monkeypatch.setattr(command["trying"], "said", said)
    return made


def hold(command: dict[str, ModuleType], settings: Any) -> dict[str, Any]:
    sides = command["machines"].Sides(Path("native"), None, None)
    found: dict[str, Any] = command["trying"].try_network("net", FACTS, settings, sides)
    return found


def test_it_holds_all_and_does_nothing_twice(
    command: dict[str, ModuleType], settings: Any, calls: list[list[str]]
) -> None:
    held = hold(command, settings)["held"]
    assert held["x86-64-v3"] == {"photographs": 48, "outputs": 3 * 48, "differ": [], "ways": ["1:1", "8:1", "1:2"]}
    assert held["x86-64-v3 on a Haswell"] == {"photographs": 8, "outputs": 16, "differ": [], "ways": ["1:1", "8:1"]}
    assert held["x86-64-v2"]["photographs"] == 0
    emulated = [words for words in calls if words[0] == "qemu-x86_64-static"]
    assert [words[:4] for words in emulated] == [["qemu-x86_64-static", "-cpu", "Haswell", "native/ovenbird-outputs"]]
    calls.clear()
    assert hold(command, settings)["held"] == held
    assert calls == []


def test_more_under_emulation_is_held_later(
    command: dict[str, ModuleType], settings: Any, calls: list[list[str]]
) -> None:
    """The part that is held already is not held again."""
    sides = command["machines"].Sides(Path("native"), None, None)
    name = "x86-64-v3 on a Haswell"
    for most, outputs in ((8, 16), (48, 96)):
        found = command["trying"].try_network("net", FACTS | {"emulated": 48}, replace(settings, emulated=most), sides)
        assert (found["held"][name]["photographs"], found["held"][name]["outputs"]) == (most, outputs)


def test_what_differs_is_said(
    command: dict[str, ModuleType], settings: Any, calls: list[list[str]], data: Path
) -> None:
    (data / "wrong").touch()
    found = hold(command, settings)
    assert found["held"]["x86-64-v3"]["differ"] == [
        f"{way} {row} logits" for row in (2, 42) for way in ("1:1", "8:1", "1:2")
    ]
    text = command["page"].page(command["page"].recorded(settings.results, ["net", "other"], settings.photographs))
    assert "- **160 outputs, 8 differ**; 48 tensors of pixels, 0 differ." in text
    assert "| net |  | 48, **6 differ** |  |  | 8, **2 differ** |  |" in text
    assert "Not held yet: other." in text


def test_it_goes_on_where_time_was_over(
    command: dict[str, ModuleType], settings: Any, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trying = command["trying"]
    steps = iter([None] * 4)

    def check_time(_: Any) -> None:
        if next(steps, "over") is not None:
            raise trying.OutOfTime

    monkeypatch.setattr(trying.Settings, "check_time", check_time)
    with pytest.raises(trying.OutOfTime):
        hold(command, settings)
    kept = json.loads((settings.results / "net.json").read_text(encoding="utf-8"))["held"]["x86-64-v3"]["photographs"]
    assert kept == 40
    monkeypatch.setattr(trying.Settings, "check_time", lambda _: None)
    calls.clear()
    assert hold(command, settings)["held"]["x86-64-v3"]["photographs"] == 48
    assert len([words for words in calls if "pictures" in words[0]]) == 0


def test_a_runtime_that_gives_less_is_no_agreement(
    command: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    trying = command["trying"]
    texts = {"one": "1:1 0 logits a\n1:1 1 logits b\n", "two": "1:1 0 logits a\n", "none": ""}
    monkeypatch.setattr(trying, "said", lambda words, limit_s: texts[words[0]])
    for pair in (("one", "two"), ("none", "none")):
        with pytest.raises(trying.Failed, match="outputs"):
            trying.both([[word] for word in pair])

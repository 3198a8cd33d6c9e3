"""Models that write text, and their refusals: the C++ runtime's sentences are the Python runtime's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ovenbird_runtime
from native.conftest import ROOT, Command, build, run
from native.test_refusals import words
from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.manifest.manifest import decode_manifest
from ovenbird_runtime.model import Model
from ovenbird_runtime.text import prediction_lines
from support import unicode_data
from support.answer_vectors import same_answers
from support.hostile import change_manifest

PICTURES = ROOT / "conformance" / "pictures"
PHOTOS = [str(PICTURES / f"{name}.jpg") for name in ("420", "rgb", "cmyk", "grey", "444", "progressive")]
OPTIONS: list[dict[str, Any]] = [
    {}, {"beams": 2}, {"beams": 4}, {"max_tokens": 3}, {"prompt": "w3 W5s1."},
    {"beams": 3, "prompt": "w1", "max_tokens": 5},
]  # fmt: skip


@pytest.fixture(scope="module", params=["tiny(seed=1)", "tiny(seed=2,beams=2,repeats=2)"])
def captioner(compiled: Callable[..., Path], request: pytest.FixtureRequest) -> Path:
    return compiled(f"{ROOT}/tests/support/tiny_captioner.py:{request.param}")


@pytest.fixture(scope="module")
def model(captioner: Path) -> Model:
    return ovenbird_runtime.load(captioner, threads=1, engine="tvm")


def flags(options: dict[str, Any]) -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def test_sentences_are_those_of_python(native: Command, captioner: Path, model: Model) -> None:
    written = set()
    for options in OPTIONS:
        expected = model.predict(PHOTOS, seed=7, **options)
        done = native("run", captioner, *PHOTOS, "--seed", "7", "--json", "--threads", "2", *flags(options))
        assert done.code == 0, done.err
        rows = [{"image": name, "target": "host"} | one.to_json() for name, one in zip(PHOTOS, expected, strict=True)]
        same_answers(json.loads(done.out), rows, str(options))
        written |= {one.text for one in expected}
    assert len(written) > 4


def test_lines_are_those_of_python(native: Command, captioner: Path, model: Model) -> None:
    done = native("run", captioner, PHOTOS[0], "--seed", "7")
    (expected,) = model.predict(PHOTOS[0], seed=7)
    assert done.out.splitlines() == [PHOTOS[0], *(f"  {line}" for line in prediction_lines(expected))]
    assert expected.text


@pytest.mark.parametrize(
    "options",
    [{"beams": 5}, {"prompt": "w1 " * 12}, {"score": 0.5}, {"prompt": "a" * 4097}],
    ids=["beams", "tokens", "boxes", "characters"],
)
def test_refusals_are_those_of_python(native: Command, captioner: Path, model: Model, options: dict[str, Any]) -> None:
    with pytest.raises(OvenbirdError) as caught:
        model.predict(PHOTOS[0], **options)
    done = native("run", captioner, PHOTOS[0], *flags(options))
    assert (done.code, done.err.splitlines()[-1]) == (1, f"error: {type(caught.value).__name__}: {caught.value}")


def test_selftest_reproduces_all_programs(native: Command, captioner: Path) -> None:
    done = native("selftest", captioner)
    assert done.code == 0, done.err


def test_the_c_interface_has_texts(captioner: Path, model: Model) -> None:
    done = run(build() / "ovenbird-captions", captioner, PHOTOS[0], "w3")
    assert done.code == 0, (done.out, done.err)
    (expected,) = model.predict(PHOTOS[0], prompt="w3", beams=2)
    answer = expected.answers["text"]["logits"]
    assert json.loads(done.out) == [answer.text, list(answer.tokens), answer.finish == "end", -1]


def loop(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda value: value["loop"].update(changes)


def state(name: str, **changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda value: value["states"][name].update(changes)


HOSTILE: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no loop": lambda value: value.pop("loop"),
    "no states": lambda value: value.pop("states"),
    "a program that there is not": loop(step="walk"),
    "a program in two places": loop(once=["encode", "step"]),
    "the first takes no picture": loop(once=["step"], step="encode"),
    "a token that is no input": loop(token="keys"),
    "a position that is no input": loop(position="nowhere"),
    "logits that are no output": loop(logits="key"),
    "a token beyond the vocabulary": loop(hidden=[0, 38]),
    "begin is too long": loop(begin=[2] * 12),
    "too many tokens": loop(max_length=13),
    "one token": loop(max_length=1),
    "no begin": loop(begin=[]),
    "a vocabulary that is not there": loop(vocabulary={"file": "pieces.txt"}),
    "another vocabulary": loop(vocabulary={"kind": "bpe"}),
    "another search": loop(search={"kind": "dream"}),
    "one beam": loop(search={"kind": "beam", "beams": 1}),
    "stopping anyhow": loop(search={"kind": "beam", "early_stopping": "soon"}),
    "a search without a kind": loop(search={}),
    "an unknown field": loop(temperature=1.0),
    "rows along no axis": state("text_keys", axis=2),
    "a state of another dtype": state("text_keys", dtype="float16"),
    "a state of another shape": state("picture_keys", shape=[15, 32]),
    "a state of no dimension": state("picture_keys", shape=[]),
    "a state that nobody reads": state("picture_keys", reads=[]),
    "a state that is no input": state("picture_keys", reads=[{"program": "step", "tensor": "nothing"}]),
    "a state that is no output": state("picture_keys", writes=[{"program": "walk", "tensor": "keys"}]),
    "an input that is no state": lambda value: value["states"].pop("text_keys"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_loops_are_refused_alike(native: Command, captioner: Path, tmp_path: Path, name: str) -> None:
    artifact = Path(shutil.copytree(captioner, tmp_path / "artifact"))
    change_manifest(artifact, HOSTILE[name])
    with pytest.raises(OvenbirdError) as caught:
        decode_manifest((artifact / "manifest.json").read_bytes())
    done = native("inspect", artifact)
    assert done.code == 1
    assert words(done.err.strip()) == words(f"error: {type(caught.value).__name__}: {caught.value}")


@pytest.mark.slow
def test_tables_of_characters_are_unicodes() -> None:
    """What the file says is what this Python says, of the same version of Unicode."""
    text = (ROOT / "runtime/cpp/src/generation/unicode_data.inc").read_text()
    mine = unicode_data.text()
    if text.partition(",")[0] != mine.partition(",")[0]:
        pytest.skip(f"this Python has another Unicode: {mine.partition(',')[0]}")
    assert text == mine

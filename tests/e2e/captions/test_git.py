"""GIT of transformers, compiled: the tokens that it writes are those of transformers' own `generate`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ovenbird_runtime
from ovenbird_runtime.generation.search import SearchSettings
from ovenbird_runtime.generation.text import TextRequest
from ovenbird_runtime.manifest.generation import Beam, Greedy
from ovenbird_runtime.model import Model
from support.git_searches import PIECES, PROMPTS, SEARCHES
from support.tiny_artifact import compiled_by

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.slow
PICTURES = [ROOT / "compile" / "ovenbird" / "data" / f"{name}.jpg" for name in ("chelsea", "coffee", "rocket")]
SCRIPT = ROOT / "tests" / "support" / "compile_git.py"


@pytest.fixture(scope="module")
def git() -> Path:
    """The artifact of a GIT of two layers, with what transformers answers in its folder."""
    if find_spec("transformers") is None or find_spec("tvm") is None:
        pytest.skip("transformers is not installed: pip install transformers")
    return compiled_by(SCRIPT)


@pytest.fixture(scope="module")
def model(git: Path) -> Any:
    """The artifact, loaded."""
    with ovenbird_runtime.load(git, threads=2) as loaded:
        yield loaded


def request(search: dict[str, Any], prompt: tuple[int, ...], length: int) -> TextRequest:
    """Return the search that transformers' settings say."""
    kind: Greedy | Beam = Greedy()
    if "num_beams" in search:
        kind = Beam(
            beams=search["num_beams"],
            length_penalty=search.get("length_penalty", 1.0),
            early_stopping=search.get("early_stopping", False),
        )
    return TextRequest(prompt, kind, SearchSettings((3,), length, search.get("no_repeat_ngram_size", 0)))


def test_tokens_are_those_of_transformers(git: Path, model: Model) -> None:
    right = json.loads((git / "right.json").read_text())
    loop = model.manifest.loop
    assert loop is not None
    ended = 0
    pipeline = model.manifest.preprocess.pipelines["default"]
    pixels = [model.preprocessor.prepare(pipeline, open_(picture), 0, 0)[0][None] for picture in PICTURES]
    writer = model.text_writer(16)
    assert writer is not None
    for name, search in SEARCHES.items():
        for prompt in PROMPTS:
            expected = right[f"{name} {len(prompt)}"]
            for picture, row in zip(pixels, expected, strict=True):
                (found,) = writer.write(picture, request(search, prompt, loop.max_length))
                padding = row[len(found.tokens) :]  # of beams it is the token of the end, as that of padding is 0
                assert list(found.tokens) == row[: len(found.tokens)], (name, prompt)
                assert set(padding) <= {0, 3}
                ended += found.finish == "end"
    assert ended > 5


def open_(picture: Path) -> Any:
    """Return a photograph's pixels."""
    from ovenbird_runtime.preprocess.images import open_image

    return open_image(picture)


def test_photographs_are_answered_with_sentences(git: Path, model: Model) -> None:
    right = json.loads((git / "right.json").read_text())["greedy 1"]
    for prediction, row in zip(model.predict(PICTURES), right, strict=True):
        shown = [PIECES[token] for token in row if token not in (0, 2, 3)]
        assert prediction.text == " ".join(shown).replace(" ##", "")
        assert prediction.to_json()["text"]["logits"]["text"] == prediction.text
        assert prediction.weights.random


def test_programs_share_their_weights(git: Path, model: Model) -> None:
    """What prefill and step both read lies in the artifact once."""
    target, entries = model.target, model.target.entries
    by_program = {entry.program: set(entry.weights) for entry in entries}
    shared = by_program["prefill"] & by_program["step"]
    matrices = [index for index in shared if len(target.tensors[index].shape) > 1]
    assert len(matrices) >= 2 * 6 - 4  # of the last layer, only keys and values are prefilled


def test_bfloat16_multiplies_in_all_programs_and_changes_few_tokens() -> None:
    """Prefill and step share matrices of two bytes; behind the same tokens the next one is nearly always the same."""
    if find_spec("transformers") is None or find_spec("tvm") is None:
        pytest.skip("transformers is not installed: pip install transformers")
    folder = compiled_by(SCRIPT, "bf16")
    with ovenbird_runtime.load(folder, threads=2) as model:
        target, writer = model.target, model.text_writer(4)
        assert writer is not None
        matrices = {
            entry.program: {index for index in entry.weights if len(target.tensors[index].shape) == 3}
            for entry in target.entries
        }
        halves = {name: {target.tensors[index].dtype for index in found} for name, found in matrices.items()}
        assert (halves["prefill"], halves["step"]) == ({"uint16"}, {"uint16"})
        assert "uint16" in halves["encode"]  # positions are no weights of a product
        assert matrices["prefill"] < matrices["step"]
        wanted = request({}, (2,), writer.loop.max_length)
        texts = [writer.write(picture[None], wanted)[0].tokens for picture in np.load(folder / "noise.npy")]
    compared, differ = others(texts, folder)
    assert compared > 150
    assert differ <= 0.05 * compared


def others(texts: Sequence[Sequence[int]], folder: Path) -> tuple[int, int]:
    """Return how many tokens behind the same ones there are, and how many are not transformers'."""
    compared = differ = 0
    for own, row in zip(texts, json.loads((folder / "right.json").read_text())["noise"], strict=True):
        pairs = list(zip(own, row, strict=False))[1:]
        alike = next((place for place, (one, other) in enumerate(pairs) if one != other), len(pairs))
        compared += min(alike + 1, len(pairs))
        differ += alike < len(pairs)
    print(f"of {compared} tokens {differ} differ")
    return compared, differ


def int8_git(*programs: str) -> Path:
    """Return the tiny GIT in int8, or some of its programs."""
    if find_spec("transformers") is None or find_spec("tvm") is None:
        pytest.skip("transformers is not installed: pip install transformers")
    return compiled_by(SCRIPT, "int8", *((",".join(programs),) if programs else ()))


def test_all_programs_multiply_whole_numbers() -> None:
    """Matrices are of one byte, those of prefill are the step's; most tokens stay, and the evidence says how many."""
    folder = int8_git()
    with ovenbird_runtime.load(folder, threads=2) as model:
        target, writer = model.target, model.text_writer(4)
        assert writer is not None
        bytes_of = {
            entry.program: {index for index in entry.weights if target.tensors[index].dtype == "int8"}
            for entry in target.entries
        }
        assert len(bytes_of["encode"]) >= 13
        assert len(bytes_of["prefill"]) >= 8
        assert bytes_of["prefill"] < bytes_of["step"]
        assert all(state.dtype == "float32" for state in model.manifest.states.values())
        wanted = request({}, (2,), writer.loop.max_length)
        texts = [writer.write(picture[None], wanted)[0].tokens for picture in np.load(folder / "noise.npy")]
        calibration = model.manifest.tuning[f"{target.target}-int8"]["calibration"]
    compared, differ = others(texts, folder)
    assert compared > 100
    assert differ <= 0.2 * compared
    assert calibration["programs"] == dict.fromkeys(("encode", "prefill", "step"), "int8")
    evidence = json.loads((folder / "evidence/calibration.json").read_bytes())
    (found,) = evidence["texts"].values()
    assert found["texts"] >= 8
    assert found["compared"] > found["differ"]
    (agreement,) = evidence["agreement"].values()
    assert agreement["step"]["top1"] > 0.8
    assert min(agreement[name]["sqnr_db"][out] for name, out in (("encode", "features"), ("step", "logits"))) > 15


def test_programs_that_stay_floats_are_named() -> None:
    folder = int8_git("step")
    target = json.loads(next(folder.glob("targets/*/target.json")).read_bytes())
    dtypes = {
        entry["program"]: {target["tensors"][index]["dtype"] for index in entry["weights"]}
        for entry in target["entries"]
    }
    assert "int8" in dtypes["step"]
    assert "int8" not in dtypes["encode"] | dtypes["prefill"]
    evidence = json.loads((folder / "evidence/calibration.json").read_bytes())
    assert evidence["programs"]["step"] == "int8"
    assert evidence["programs"]["encode"] == evidence["programs"]["prefill"] in ("bf16", "f32")


def test_a_folder_brings_its_own_settings(tmp_path: Path) -> None:
    """Weights, vocabulary and search are those that transformers saved; what is not there is named."""
    if find_spec("transformers") is None or find_spec("tvm") is None:
        pytest.skip("transformers is not installed: pip install transformers")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "tests" / "support" / "git_folder.py", tmp_path],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

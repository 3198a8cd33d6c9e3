"""The compiler's commands on a model of several programs: they work, or say in a line that they do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from support.captioner_artifact import captioner_artifact

MODEL = f"{Path(__file__).resolve().parents[2] / 'support' / 'tiny_captioner.py'}:tiny"


def test_verify_compares_every_program(ovenbird: Any) -> None:
    done = ovenbird("verify", captioner_artifact(), "--model", MODEL, "-q")
    assert done.code == 0, done.err
    for program, output in (("encode", "keys"), ("step", "logits")):
        assert f"program {program}, is its network: max error {output}" in done.out
    done = ovenbird("verify", captioner_artifact(), "--model", MODEL, "--json", "-q")
    assert sorted(json.loads(done.out)["programs"]) == ["encode", "step"]


def test_verify_tells_another_model(ovenbird: Any) -> None:
    done = ovenbird("verify", captioner_artifact(), "--model", "networks:detector", "-q")
    assert done.code == 1
    assert "networks:detector has the programs main, the artifact encode, step" in done.error
    done = ovenbird("verify", captioner_artifact(), "--model", MODEL, "--tolerance", "1e-12", "-q")
    assert done.code == 1
    assert "VerificationFailed: program encode: output" in done.error


@pytest.mark.parametrize("words", [["tune", MODEL], ["bench", MODEL, "--peers", "ort"]], ids=["tune", "bench"])
def test_what_takes_one_program_says_so(words: list[str], ovenbird: Any) -> None:
    done = ovenbird(*words)
    assert done.code == 2
    assert "has several programs (encode, step): only `ovenbird compile` and `ovenbird verify` take it" in done.error


@pytest.mark.slow
def test_int8_is_calibrated_held_and_described(ovenbird: Any, tmp_path: Path) -> None:
    """Of one program; the texts that it writes are counted, by `compile` and by `verify` of other photographs."""
    folder = tmp_path / "art"
    done = ovenbird("compile", MODEL, "--precision", "int8", "--int8-programs", "step", "-q", "-o", folder)
    assert done.code == 0, done.err
    assert "host-int8: texts: " in done.out
    found = json.loads((folder / "evidence/calibration.json").read_bytes())
    assert found["programs"]["step"] == "int8" != found["programs"]["encode"]
    done = ovenbird("inspect", folder)
    assert f"encode in {found['programs']['encode']}, step in int8" in done.out
    done = ovenbird("verify", folder, "--model", MODEL, "-q")
    assert done.code == 0, done.err
    assert "are the framework's to the last token" in done.out


def test_programs_that_there_are_not_are_named(ovenbird: Any, tmp_path: Path) -> None:
    done = ovenbird("compile", MODEL, "--precision", "int8", "--int8-programs", "decode", "-q", "-o", tmp_path / "art")
    assert done.code == 2
    assert "--int8-programs decode: tiny_captioner-tiny has encode, step" in done.error
    done = ovenbird("compile", MODEL, "--int8-programs", "step", "-q", "-o", tmp_path / "art")
    assert done.code == 2
    assert "--int8-programs is about int8" in done.error

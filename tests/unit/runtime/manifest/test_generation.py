"""States and loops in a manifest: what does not fit the programs is refused, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ovenbird_runtime.errors import ManifestInvalid
from ovenbird_runtime.manifest.generation import Beam, KeptState, TextLoop, Use, WordPiece, check_generation, uses_of
from ovenbird_runtime.manifest.program import Program, TensorSpec
from ovenbird_runtime.manifest.schema import decode, encode

FILES = {"vocabulary.txt": None}


def tensor(name: str, *shape: int | str, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name, dtype, shape)  # type: ignore[arg-type]


PROGRAMS = {
    "encode": Program((tensor("picture", "N", 3, 8, 8),), (tensor("features", "N", 4, 6),)),
    "prefill": Program((tensor("features", "N", 4, 6),), (tensor("seen", "N", 2, 4, 6),)),
    "step": Program(
        (
            tensor("token", "N", dtype="int64"),
            tensor("position", "N", dtype="int64"),
            tensor("seen", "N", 2, 4, 6),
            tensor("keys", "N", 2, 7, 6),
        ),
        (tensor("logits", "N", 30), tensor("new", "N", 2, 1, 6)),
    ),
}
STATES = {
    "seen": KeptState("float32", (2, 4, 6), 1, (Use("step", "seen"),), (Use("prefill", "seen"),)),
    "keys": KeptState("float32", (2, 7, 6), 1, (Use("step", "keys"),), (Use("step", "new"),)),
}
LOOP = TextLoop(("encode", "prefill"), "step", "token", "position", "logits", (2,), (3,), (0, 2, 3), 8, WordPiece())

Parts = dict[str, Any]


def check(**changes: Any) -> None:
    parts: Parts = {"programs": PROGRAMS, "states": STATES, "loop": LOOP, "files": FILES} | changes
    check_generation(parts["programs"], parts["states"], parts["loop"], parts["files"], "manifest.json")


def state(name: str, **changes: Any) -> Parts:
    return {"states": STATES | {name: replace(STATES[name], **changes)}}


def loop(**changes: Any) -> Parts:
    return {"loop": replace(LOOP, **changes)}


def program(name: str, change: Callable[[Program], Program]) -> Parts:
    return {"programs": PROGRAMS | {name: change(PROGRAMS[name])}}


def test_what_fits_is_taken() -> None:
    check()
    check(loop=None, states={})
    assert uses_of(STATES, "step", "reads") == {"seen": "seen", "keys": "keys"}
    assert uses_of(STATES, "step", "writes") == {"new": "keys"}
    beam = replace(LOOP, search=Beam(beams=3, early_stopping="never"))
    assert decode(TextLoop, encode(beam), "loop") == beam


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loop": None}, "has the state 'keys' and no loop that keeps it"),
        (loop(step="again"), "names the program 'again', there are encode, prefill, step"),
        (loop(once=("encode", "encode")), "runs a program in two places"),
        (loop(once=("encode", "step")), "runs a program in two places"),
        (loop(vocabulary=WordPiece(file="words.txt")), "the vocabulary 'words.txt' is not in the file table"),
        (state("keys", axis=3), "has rows along axis 3"),
        (state("keys", reads=(Use("step", "key"),)), "step has no input 'key'"),
        (state("keys", writes=(Use("walk", "new"),)), "walk has no output 'new'"),
        (state("keys", dtype="float16"), "keys of step is float32"),
        (state("keys", shape=(2, 9, 6)), "keys of step is float32"),
        (state("seen", shape=(2, 3, 6)), "seen of step is float32"),
        (state("keys", shape=(2, 6, 6)), "keys of step is float32"),
        (loop(once=("prefill",)), "begins with prefill, which takes no batch of pictures"),
        (loop(once=("encode",)), None),
        (loop(token="word"), "step has no input 'word' of whole numbers"),
        (loop(position="keys"), "step has no input 'keys' of whole numbers"),
        (loop(logits="new"), "step has no output 'new', float32"),
        (loop(end=(30,)), "token 30 is beyond the 30 of logits"),
        (loop(begin=(2,) * 8), "begins with 8 tokens of at most 8"),
        (loop(max_length=9), "holds 7 rows, 9 tokens take 8"),
        ({"states": {"seen": STATES["seen"]}}, "the input 'keys' of step is no state"),
        (
            program("prefill", lambda one: replace(one, inputs=(tensor("other", "N", 4, 6),))),
            "nothing before prefill gives its input 'other'",
        ),
        (
            program("prefill", lambda one: replace(one, inputs=(tensor("features", "N", 4, 7),))),
            "nothing before prefill gives its input 'features'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes: Parts, message: str | None) -> None:
    if message is None:
        check(**changes)
        return
    with pytest.raises(ManifestInvalid, match=message.replace("[", r"\[")):
        check(**changes)

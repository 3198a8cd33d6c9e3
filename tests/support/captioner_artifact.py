"""The tiny captioner's artifact for tests, compiled once a session, or a run of the suite, with the right texts.

artifact = captioner_artifact()
right = right_texts()                   # pictures float32 [6, 3, 16, 16], and the tokens of each
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.tiny_artifact import compiled_by

SCRIPT = Path(__file__).with_name("compile_captioner.py")


@dataclass(frozen=True)
class RightTexts:
    """Pictures, as the network takes them, and the tokens that it writes greedily."""

    pictures: Any
    tokens: list[tuple[int, ...]]


def captioner_artifact() -> Path:
    """Return the folder, which nobody may change; skip where there is no compiler."""
    if find_spec("tvm") is None:
        pytest.skip("no compiler here")
    return compiled_by(SCRIPT)


def right_texts() -> RightTexts:
    """Return what the network itself answers."""
    found = json.loads((captioner_artifact() / "right.json").read_text())
    return RightTexts(np.asarray(found["pictures"], np.float32), [tuple(one) for one in found["tokens"]])

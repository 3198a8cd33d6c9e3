"""Save a tiny GIT as transformers does, and load it as `ovenbird compile git-base-textcaps --weights FOLDER` does.

python tests/support/git_folder.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from ovenbird.errors import WeightsUnavailable
from ovenbird.models.packages.captions.git import load_git
from ovenbird_runtime.manifest.generation import Beam
from support.compile_git import network
from support.git_searches import PIECES


def main(folder: Path) -> None:
    """Save, load, compare. Raises AssertionError."""
    net = network(5)
    net.save_pretrained(folder)
    settings = {"max_length": 12, "num_beams": 4, "early_stopping": True, "length_penalty": 0.6}
    (folder / "generation_config.json").write_text(json.dumps(settings | {"no_repeat_ngram_size": 2}))
    with pytest.raises(WeightsUnavailable, match=r"no vocab\.txt next to them"):
        load_git("tiny", str(folder))
    (folder / "vocab.txt").write_text("\n".join(PIECES))
    found = load_git("tiny", str(folder))
    loop = found.programs.loop
    assert loop is not None
    assert (found.weights.origin, found.weights.random) == ("file", False)
    assert (loop.max_length, loop.no_repeat_ngram_size) == (12, 2)
    assert loop.search == Beam(beams=4, length_penalty=0.6, early_stopping=True)
    step = found.programs.parts["step"].module
    assert torch.equal(step.output.weight, net.output.weight)  # type: ignore[union-attr, arg-type]


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Compile the tiny captioner and write it as an artifact, with pictures and the right texts: a program of its own.

python tests/support/compile_captioner.py OUTPUT_DIR
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from ovenbird.compiling import compile_network
from ovenbird.networks.composite import compose
from ovenbird_runtime.manifest.manifest import WeightsInfo
from support.tiny_captioner import BEGIN, END, LENGTH, SIDE, network, next_logits, tiny

PICTURES = 6


def greedy(pictures: torch.Tensor, seed: int = 0) -> list[list[int]]:
    """Return the tokens of each picture, by the loop without caches."""
    net, found = network(seed), []
    for picture in pictures:
        tokens = [BEGIN]
        while tokens[-1] != END and len(tokens) < LENGTH:
            tokens.append(int(next_logits(net, picture[None], tokens)[0].argmax()))
        found.append(tokens)
    return found


def main(folder: Path) -> None:
    """Compile, then put what is right into its folder."""
    weights = WeightsInfo("random", "seed 0: not trained", random=True, seed=0)
    compile_network(compose(tiny(), "tiny_captioner", weights), folder)
    pictures = torch.randn((PICTURES, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(5)) * 2
    right = {"pictures": pictures.tolist(), "tokens": greedy(pictures)}
    (folder / "right.json").write_text(json.dumps(right))  # no file of the artifact: nothing reads it but tests


if __name__ == "__main__":
    main(Path(sys.argv[1]))

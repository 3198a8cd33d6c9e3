"""Compile a tiny GIT of transformers and write what its own `generate` answers: a program of its own.

python tests/support/compile_git.py OUTPUT_DIR [PRECISION [INT8_PROGRAMS]]
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ovenbird.backends.precisions import parse_precision
from ovenbird.compiling import compile_network
from ovenbird.console.shared_options import parse_names
from ovenbird.models.packages.captions.git import git_programs, new_git, sharpen
from ovenbird.networks.composite import compose
from ovenbird.networks.torchvision import import_torchvision
from ovenbird.options import CalibrationOptions, CompileOptions
from ovenbird.verify.photographs import own_photographs, read_photographs
from ovenbird_runtime.manifest.manifest import WeightsInfo
from support.git_searches import PIECES, PROMPTS, SEARCHES

LENGTH = 14
NOISE = 40
"""Pictures of noise, beside photographs."""


def network(seed: int = 3) -> Any:
    """Return a GIT of two layers, width 64 and 200 tokens."""
    import_torchvision()  # transformers imports it
    import transformers

    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
              "image_size": 32, "patch_size": 16}  # fmt: skip
    config = transformers.GitConfig(
        vision_config=vision, vocab_size=len(PIECES), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=128, max_position_embeddings=64, bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    net = new_git(transformers, config)
    sharpen(net, seed)
    with torch.no_grad():
        net.output.bias[3] += 4.0  # so that some texts end before their longest
    return net


def main(folder: Path, precision: str = "f32", int8_programs: str = "") -> None:
    """Compile, then put what transformers answers in float32 into the folder."""
    torch.set_num_threads(1)
    net = network()
    programs = git_programs(net, ("\n".join(PIECES) + "\n").encode(), {"max_length": LENGTH})
    sizes = {"encode": (1,), "prefill": (1,), "step": (1, 4)}
    parts = {name: replace(part, batch_sizes=sizes[name]) for name, part in programs.parts.items()}
    programs = replace(programs, parts=parts)
    composite = compose(programs, "tiny_git", WeightsInfo("random", random=True, seed=3))
    calibration = CalibrationOptions(programs=parse_names(int8_programs))
    compile_network(
        composite, folder, CompileOptions(precisions=(parse_precision(precision),), calibration=calibration)
    )
    pixels = torch.from_numpy(read_photographs(own_photographs(), programs.parts["encode"].pipeline))
    right: dict[str, Any] = {}
    for name, search in SEARCHES.items():
        for prompt in PROMPTS:
            tokens = torch.tensor([prompt] * len(pixels))
            with torch.no_grad():
                found = net.generate(
                    pixel_values=pixels, input_ids=tokens, attention_mask=torch.ones_like(tokens), max_length=LENGTH,
                    do_sample=False, **search,
                )  # fmt: skip
            right[f"{name} {len(prompt)}"] = found.tolist()
    drawn = torch.randn((NOISE, *pixels.shape[1:]), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        right["noise"] = net.generate(pixel_values=drawn, max_length=LENGTH, do_sample=False).tolist()
    np.save(folder / "noise.npy", drawn.numpy())
    (folder / "right.json").write_text(json.dumps(right))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

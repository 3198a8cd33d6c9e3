"""The captioner's bars on answers and memory: tokens greedily and with beams, logits, and what many texts take.

    .venv/bin/python ci/captions/bars.py artifacts/git_base_textcaps --weights random:7        some five minutes

Captions of 50 pieces of photographs are compared with those of transformers' own `generate`, greedily and with 4 beams;
so are the logits of each greedy step. Then 64 texts are written at once, and the memory beyond one text's is taken. For
code in f32; other precisions move tokens and logits. The exit code is 1 where a bar does not hold.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from original import original_git
from tokens import pictures

import ovenbird_runtime

CAPTIONS, BEAMS, TEXTS = 50, 4, 64
LOGITS_BAR, MEMORY_BAR = 1e-3, 2**30
PAGE = os.sysconf("SC_PAGESIZE")


@contextmanager
def recorded(model: Any) -> Iterator[list[np.ndarray]]:
    """Keep the logits of every step."""
    engine, found = model._engine, []
    run, logits = engine.run_held, model.manifest.loop.logits

    def kept(*arguments: Any) -> dict[str, np.ndarray]:
        outputs: dict[str, np.ndarray] = run(*arguments)
        found.append(outputs[logits][0].copy())
        return outputs

    engine.run_held = kept
    try:
        yield found
    finally:
        engine.run_held = run


def own_memory() -> int:
    """Return the process's own memory in bytes, without files that are mapped: weights are."""
    fields = Path("/proc/self/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * PAGE


def compare(model: Any, net: Any, tokens: int, captions: int) -> tuple[int, int, float]:
    """Return how many captions are transformers' greedily and with beams, and by how much a logit differs at most."""
    writer, side = model.text_writer(BEAMS), net.config.vision_config.image_size
    greedy, beams = (writer.request(max_tokens=tokens, beams=count) for count in (1, BEAMS))
    same = [0, 0]
    largest = 0.0
    for pixels in pictures(captions, side):
        settings = {"pixel_values": torch.from_numpy(pixels), "max_new_tokens": tokens, "do_sample": False}
        right = net.generate(**settings, output_logits=True, return_dict_in_generate=True)
        with recorded(model) as steps:
            (own,) = writer.write(pixels, greedy)
        expected = right.sequences[0].tolist()
        same[0] += list(own.tokens) == expected
        alike = next(
            (at for at, pair in enumerate(zip(own.tokens, expected, strict=False)) if pair[0] != pair[1]), 10**9
        )
        for at, (given, wanted) in enumerate(zip(steps, right.logits, strict=False)):
            if at < alike:
                largest = max(largest, float(np.abs(given - wanted[0].numpy()).max()))
        (own,) = writer.write(pixels, beams)
        wide = net.generate(**settings, num_beams=BEAMS)[0].tolist()
        while len(wide) > len(own.tokens) and wide[-1] in (*model.manifest.loop.end, net.config.pad_token_id):
            wide.pop()  # what fills a row behind its end
        same[1] += list(own.tokens) == wide
    return same[0], same[1], largest


def memory_of_many(model: Any, side: int, tokens: int) -> int:
    """Return what many texts at once take beyond one text's memory, in bytes."""
    one, many = model.text_writer(1), model.text_writer(TEXTS)
    pixels = np.concatenate(pictures(TEXTS, side))
    one.write(pixels[:1], one.request(max_tokens=tokens))
    before = own_memory()
    many.write(pixels, many.request(max_tokens=tokens))
    return own_memory() - before


def main(arguments: list[str]) -> int:
    """Compare, print, return the exit code."""
    parser = argparse.ArgumentParser(prog="ci/captions/bars.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--weights", default="random:7", help="those of the artifact [random:7]")
    parser.add_argument("--captions", type=int, default=CAPTIONS)
    parser.add_argument("--tokens", type=int, default=20)
    options = parser.parse_args(arguments)
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    net, _ = original_git(options.weights)
    count = options.captions
    with ovenbird_runtime.load(options.artifact, threads=threads) as model, torch.inference_mode():
        taken = memory_of_many(model, net.config.vision_config.image_size, options.tokens)
        greedy, wide, largest = compare(model, net, options.tokens, count)
    found = [
        (greedy == count, f"greedy: {greedy} of {count} captions are those of transformers"),
        (wide == count, f"{BEAMS} beams: {wide} of {count} captions are those of transformers"),
        (largest <= LOGITS_BAR, f"logits differ by {largest:.1e} at most, bar {LOGITS_BAR:g}"),
        (taken < MEMORY_BAR, f"{TEXTS} texts at once take {taken / 2**20:.0f} MiB beyond one's, bar 1024"),
    ]
    for holds, line in found:
        print(line if holds else f"DOES NOT HOLD: {line}")
    return 0 if all(holds for holds, _ in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

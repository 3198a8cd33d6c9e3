"""The captioner's programs and whole captions against transformers in torch and a loop around ONNX Runtime.

    .venv/bin/python ci/captions/programs.py artifacts/git_base_textcaps --weights random:7      some four minutes

All run in one process, in blocks of calls in turn; a time is the median of the blocks' shortest calls, a ratio that of
its blocks, with quartiles. How fast memory is read (the sum of an array of 512 MB) is measured in every block as well:
a caption's bound is encoder + prefill + 20 times the decoder's weights from memory. What is compiled in bf16 meets
torch in bfloat16, too. Prints a table and the bars; keeps them in the results of load.py, for the page. The exit code
is 1 where more tokens differ from those of transformers in float32 than the precision may change. Nothing else should
run meanwhile.
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loops import HELD, OnnxLoop, export_programs
from original import original_git
from tokens import line_of, pictures

import ovenbird_runtime
from ovenbird.models.packages.captions.git import GitEncode, GitPrefill
from ovenbird.verify.texts import agreement_of
from ovenbird_runtime.tensors.arrays import aligned_zeros

ROOT = Path(__file__).resolve().parents[2]
OWN, TORCH, HALF, ORT = "ovenbird", "torch eager", "torch eager, bfloat16", "ONNX Runtime"
DIFFER = {"f32": 0.002, "f16": 0.01, "bf16": 0.05, "int8": 0.1}
"""The share of tokens that a precision may change: with random weights, some stand next to a tie."""
CAPTIONS, FEW = 50, 5
"""Those whose tokens are compared; fewer of a loop that is not ours."""
SEQUENCES = (1, 4, 16)
PAUSE_SECONDS = 0.03
"""Between two engines: threads of the one before stop waiting."""
MEMORY_BYTES = 512 * 2**20
READ = "memory"
Calls = dict[tuple[str, str], Callable[[], Any]]
"""By what is measured, and by whom."""
Notes = list[str]


def own_calls(model: Any, pixels: np.ndarray, tokens: int) -> Calls:
    """Return what our runtime does."""
    engine, writer = model._engine, model.text_writer(max(SEQUENCES))
    features = engine.run(1, {"pixel_values": pixels}, False, "encode")["features"]
    found: Calls = {
        ("encoder", OWN): lambda: engine.run(1, {"pixel_values": pixels}, False, "encode"),
        ("prefill", OWN): lambda: engine.run(1, {"features": features}, False, "prefill"),
        ("caption", OWN): lambda: writer.write(pixels, writer.request(max_tokens=tokens)),
    }
    states = {name: (state.dtype, state.shape) for name, state in model.manifest.states.items()}
    for count in (size for size in engine.batches_of("step") if size in SEQUENCES):
        held = {name: aligned_zeros((count, *shape), dtype) for name, (dtype, shape) in states.items()}
        for array in held.values():
            array[...] = HELD
        arrays = {"token": np.full(count, 101), "position": np.full(count, tokens // 2)}
        found[f"step of {count}", OWN] = lambda count=count, arrays=arrays, held=held: engine.run_held(
            "step", count, arrays, held
        )
    return found


def torch_calls(net: Any, programs: Any, pixels: np.ndarray, tokens: int) -> Calls:
    """Return what transformers' own modules do; a step is the compiled one's, run by torch."""
    found, modules = once_calls(net, pixels, tokens, TORCH), programs.parts
    for count in SEQUENCES:
        states = {name: torch.full((count, *state.shape), HELD) for name, state in programs.states.items()}
        given = {"token": torch.full((count,), 101), "position": torch.full((count,), tokens // 2), **states}
        found[f"step of {count}", TORCH] = lambda given=given: modules["step"].module(**given)
    return found


def once_calls(net: Any, pixels: np.ndarray, tokens: int, engine: str) -> Calls:
    """Return encoder, prefill and caption by transformers' own net, in the dtype of its weights."""
    picture, encode, prefill = torch.from_numpy(pixels).to(net.dtype), GitEncode(net), GitPrefill(net)
    features = encode(picture)["features"]
    return {
        ("encoder", engine): lambda: encode(picture),
        ("prefill", engine): lambda: prefill(features),
        ("caption", engine): lambda: net.generate(pixel_values=picture, max_new_tokens=tokens, do_sample=False),
    }


def onnx_calls(loop: OnnxLoop, pixels: np.ndarray, tokens: int) -> Calls:
    """Return what a loop around ONNX Runtime does, which keeps caches in numpy."""
    features = loop.encode(pixels)
    found: Calls = {
        ("encoder", ORT): lambda: loop.encode(pixels),
        ("prefill", ORT): lambda: loop.prefill(features),
        ("caption", ORT): lambda: loop.write(pixels, tokens),
    }
    for count in SEQUENCES:
        given = loop.step_inputs(count, tokens // 2)
        found[f"step of {count}", ORT] = lambda given=given: loop.step(given)
    return found


def measure(calls: Calls, blocks: int, seconds: float) -> dict[tuple[str, str], list[float]]:
    """Return the shortest call of each block, in ms: all engines of one thing in turn, the order turned round."""
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    keys = sorted(calls)
    for block in range(blocks):
        for key in keys[::-1] if block % 2 else keys:
            time.sleep(PAUSE_SECONDS)
            shortest, end = float("inf"), time.perf_counter() + seconds
            while True:
                start = time.perf_counter()
                calls[key]()
                now = time.perf_counter()
                shortest = min(shortest, now - start)
                if now > end:
                    break
            taken[key].append(shortest * 1e3)
    return taken


def weight_bytes(model: Any) -> int:
    """Return what a step must read: its packed matrices. Tables, of which it reads a row, have two axes only."""
    target = model.target
    entry = next(entry for entry in target.entries if (entry.program, entry.batch) == ("step", 1))
    sizes = [target.tensors[index] for index in entry.weights]
    return sum(
        int(np.prod(one.shape, dtype=np.int64)) * np.dtype(one.dtype).itemsize for one in sizes if len(one.shape) > 2
    )


def bars(taken: dict[tuple[str, str], list[float]], read_bytes: int, tokens: int) -> list[dict[str, Any]]:
    """Return the issue's bars, each as the ratios of the blocks."""
    reading = [milliseconds * read_bytes / MEMORY_BYTES for milliseconds in taken[READ, READ]]
    once = [a + b for a, b in zip(taken["encoder", OWN], taken["prefill", OWN], strict=True)]
    bound = [a + tokens * b for a, b in zip(once, reading, strict=True)]
    own = taken["caption", OWN]
    pairs: list[tuple[str, Sequence[float], Sequence[float], float]] = [
        (f"a caption by encoder + prefill + {tokens} x weights from memory", own, bound, 1.25),
        ("a step by its weights from memory", taken["step of 1", OWN], reading, 1.25),
    ]
    for other, limit in ((TORCH, 0.4), (ORT, 0.8)):
        if ("caption", other) in taken:
            pairs.append((f"a caption by {other}", own, taken["caption", other], limit))
    for count in SEQUENCES:
        what = f"step of {count}"
        if (what, ORT) in taken and (what, OWN) in taken:
            pairs.append((f"a {what} by {ORT}", taken[what, OWN], taken[what, ORT], 0.8))
    found = []
    for what, ours, theirs, limit in pairs:
        low, middle, high = statistics.quantiles(
            [a / b for a, b in zip(ours, theirs, strict=True)], n=4, method="inclusive"
        )
        found.append({"what": what, "ratio": middle, "low": low, "high": high, "limit": limit})
    return found


def agreeing(model: Any, loop: OnnxLoop | None, nets: Mapping[str, Any], side: int, tokens: int) -> tuple[Notes, Notes]:
    """Return how well tokens agree with those of transformers in float32, and what is wrong."""
    begin, writer, shown = len(model.manifest.loop.begin), model.text_writer(1), pictures(CAPTIONS, side)
    request = writer.request(max_tokens=tokens)
    right = [generated(nets[TORCH], pixels, tokens) for pixels in shown]
    texts = {OWN: [writer.write(pixels, request)[0].tokens for pixels in shown]}
    if HALF in nets:
        texts[HALF] = [generated(nets[HALF], pixels, tokens) for pixels in shown]
    if loop is not None:
        texts[ORT] = [loop.write(pixels, tokens) for pixels in shown[:FEW]]
    found = {name: agreement_of(written, right, begin) for name, written in texts.items()}
    notes = [f"{name}: {line_of(agreement)}" for name, agreement in found.items()]
    most = {OWN: DIFFER[model.target.precision]}
    return notes, [line for name, line in zip(found, notes, strict=True) if found[name].share > most.get(name, 1.0)]


def generated(net: Any, pixels: np.ndarray, tokens: int) -> list[int]:
    """Return the tokens of transformers' own loop."""
    picture = torch.from_numpy(pixels).to(net.dtype)
    found: list[int] = net.generate(pixel_values=picture, max_new_tokens=tokens, do_sample=False)[0].tolist()
    return found


def main(arguments: Sequence[str]) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog="ci/captions/programs.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--weights", default="random:7", help="those of the artifact [random:7]")
    parser.add_argument("--tokens", type=int, default=20)
    parser.add_argument("--blocks", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4, help="of one block of calls; one call at least [0.4]")
    parser.add_argument("--peers", default="torch,ort", help="torch, ort, or none [torch,ort]")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "build/captions", metavar="DIR")
    options = parser.parse_args(arguments)
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    net, programs = original_git(options.weights)
    side = net.config.vision_config.image_size
    pixels = np.random.default_rng(0).standard_normal((1, 3, side, side), np.float32)
    nets = {TORCH: net}
    with ovenbird_runtime.load(options.artifact, threads=threads) as model, torch.inference_mode():
        calls = own_calls(model, pixels, options.tokens)
        loop = None
        if model.target.precision in ("bf16", "int8"):
            nets[HALF] = copy.deepcopy(net).bfloat16()
        if "ort" in options.peers:
            loop = OnnxLoop(export_programs(programs, options.output / "onnx"), programs, threads)
            calls |= onnx_calls(loop, pixels, options.tokens)
        if "torch" in options.peers:
            calls |= torch_calls(net, programs, pixels, options.tokens)
            if HALF in nets:
                calls |= once_calls(nets[HALF], pixels, options.tokens, HALF)
        large = torch.ones(MEMORY_BYTES // 4)
        calls[READ, READ] = large.sum
        agreement, wrong = agreeing(model, loop, nets, side, options.tokens)
        gc.collect()
        taken = measure(calls, options.blocks, options.seconds)
        read_bytes = weight_bytes(model)
    found = report(taken, read_bytes, options.tokens)
    found["notes"] += agreement
    path = options.output / "load.json"
    kept = json.loads(path.read_text()) if path.is_file() else {"cells": {}}
    path.write_text(json.dumps(kept | {"programs": found}, indent=1) + "\n")
    print(*agreement, *(f"TOO MANY TOKENS DIFFER: {line}" for line in wrong), sep="\n")
    return 1 if wrong else 0


def report(taken: dict[tuple[str, str], list[float]], read_bytes: int, tokens: int) -> dict[str, Any]:
    """Print and return the times and the bars."""
    ms: dict[str, dict[str, float]] = {}
    for (what, engine), times in taken.items():
        ms.setdefault(what, {})[engine] = statistics.median(times)
    speed = MEMORY_BYTES / ms.pop(READ)[READ] / 1e6
    engines = [name for name in (OWN, TORCH, HALF, ORT) if ("caption", name) in taken]
    found: dict[str, Any] = {"engines": engines, "ms": ms, "bars": bars(taken, read_bytes, tokens)}
    found["notes"] = [f"Memory is read at {speed:.1f} GB/s; a step reads {read_bytes / 1e6:.0f} MB of weights."]
    for what, times in ms.items():
        print(f"{what:12}", "  ".join(f"{engine} {time:8.2f} ms" for engine, time in sorted(times.items())))
    for bar in found["bars"]:
        holds = "holds" if bar["ratio"] <= bar["limit"] else "DOES NOT HOLD"
        print(
            f"{bar['what']:60} {bar['ratio']:.2f} ({bar['low']:.2f}-{bar['high']:.2f}), limit {bar['limit']}: {holds}"
        )
    print(*found["notes"])
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

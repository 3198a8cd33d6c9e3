"""6,000 mutated golden files: arrays or a typed error, nothing else, and no more memory than the file is worth."""

from __future__ import annotations

import io
import random
import re
import resource
from collections import Counter

import numpy as np

from ovenbird_runtime.artifact.golden import read_golden
from ovenbird_runtime.errors import FileChanged

MUTANTS = 6_000
MAX_GROWTH_MB = 400.0
NUMBERS = ["0", "-1", "7", "4294967296", str(2**50), str(2**63), str(10**30), "1e3", "True", "()", "None"]
DTYPES = ["<f8", "|O", "<U9", "|V0", "|S5", ">i8", "<c8", "<f2", "|b1", "<M8[s]", "[('a','<f4')]", "('<f4',(9,))"]


def seeds() -> list[bytes]:
    """Return small golden files as numpy writes them: stored and deflated."""
    files = []
    rng = np.random.default_rng(0)
    arrays = {"input.image": rng.standard_normal((2, 3, 4, 4)).astype("float32"), "output.logits": np.arange(10)}
    for save in (np.savez, np.savez_compressed):
        buffer = io.BytesIO()
        save(buffer, **arrays)
        files.append(buffer.getvalue())
    return files


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change what a header says, or flip, overwrite, remove and repeat bytes; headers of the archive more often."""
    spoilt = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        action, place = rng.randrange(6), rng.randrange(max(1, len(spoilt)))
        if action == 0:  # a header that promises another shape, at the same length
            found = list(re.finditer(rb"'shape': \([0-9, ]*\), \}( *)\n", bytes(spoilt)))
            if found:
                header = rng.choice(found)
                shape = ", ".join(rng.choice(NUMBERS) for _ in range(rng.randint(1, 8)))
                text = f"'shape': ({shape},), }}".encode()
                spoilt[header.start() : header.end()] = text.ljust(len(header[0]) - 1)[: len(header[0]) - 1] + b"\n"
        elif action == 1:
            spoilt = bytearray(bytes(spoilt).replace(b"'<f4'", repr(rng.choice(DTYPES)).encode(), 1))
        elif action == 2:
            places = [match.start() for match in re.finditer(rb"PK..", bytes(spoilt), re.DOTALL)]
            place = min(len(spoilt) - 1, (rng.choice(places) if places else 0) + rng.randrange(46))
            spoilt[place] = rng.choice([0, 1, 8, 12, 14, 0x7F, 0xFF, rng.randrange(256)])
        elif action == 3 and spoilt:
            spoilt[place] ^= 1 << rng.randrange(8)
        elif action == 4:
            del spoilt[place : place + rng.randint(1, 60)]
        else:
            spoilt[place:place] = spoilt[place : place + rng.randint(1, 200)] * rng.choice([1, 20])
        if not spoilt:
            break
    return bytes(spoilt)


def test_mutated_golden_files_are_read_or_refused() -> None:
    rng, files, outcomes = random.Random(2026), seeds(), Counter[str]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for _ in range(MUTANTS):
        try:
            read_golden(mutate(rng.choice(files), rng))
            outcomes["read"] += 1
        except FileChanged:
            outcomes["refused"] += 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before < MAX_GROWTH_MB
    assert outcomes["refused"] > MUTANTS // 2
    assert outcomes["read"] > 20


def test_the_seeds_are_read() -> None:
    for data in seeds():
        inputs, outputs = read_golden(data)
        assert inputs["image"].shape == (2, 3, 4, 4)
        np.testing.assert_array_equal(outputs["logits"], np.arange(10))

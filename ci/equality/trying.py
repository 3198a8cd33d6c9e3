"""One network: compile it for every instruction set, and hold the C++ runtime's outputs to the Python runtime's.

found = try_network("resnet18", facts, Settings(data, results, photographs(...), until), sides)
found["held"]["x86-64-v3"]          # {"photographs": 200, "outputs": 850, "differ": [], "ways": ["1:1", "8:1", "1:2"]}
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machines import MACHINES, Machine, Sides
from photographs import Photographs

from ovenbird.replacing import replacing
from ovenbird_runtime.artifact.artifact import Artifact, open_artifact
from ovenbird_runtime.manifest.schema import encode
from ovenbird_runtime.preprocess.images import open_image
from ovenbird_runtime.preprocess.interpreted import apply
from ovenbird_runtime.tensors.arrays import Array

BATCH_SIZES = (1, 8)
COMPILE_LIMIT_S, LIMIT_S = 3600, 7200
PORTION, LARGE_PORTION, LARGE_BYTES = 40, 16, 4 << 20
"""Photographs at a time, of images above so many bytes fewer; multiples of the batch sizes."""
SEED = 7
Found = dict[str, Any]


class Failed(Exception):
    """A step did not do its work; the message says why."""


class OutOfTime(Exception):
    """The next step is left to another run."""


@dataclass(frozen=True)
class Settings:
    """Where files are, what is held, and until when a step begins, by `time.monotonic`."""

    data: Path
    results: Path
    photographs: Photographs
    until: float
    emulated: int
    """Of the photographs, how many at most where an emulator runs the code."""

    def check_time(self) -> None:
        """Raise OutOfTime where no step may begin any more."""
        if time.monotonic() > self.until:
            raise OutOfTime


def try_network(name: str, facts: Mapping[str, Any], settings: Settings, sides: Sides) -> Found:
    """Compile and hold a network, going on from what is known of it, and return that. Raises OutOfTime, Failed."""
    file = settings.results / f"{name}.json"
    found = read(file) or {"name": name, "held": {}}
    settings.check_time()
    artifact = open_artifact(_compiled(name, facts, settings))
    [spec] = artifact.manifest.inputs
    found |= {"network": Path(facts["network"]).name, "size": list(spec.shape[2:])}
    found |= {"random_weights": artifact.manifest.model.weights.random}
    hold_pipelines(artifact, settings, sides)
    large = 4 * int(np.prod([size for size in spec.shape[1:] if isinstance(size, int)])) > LARGE_BYTES
    portion, count = LARGE_PORTION if large else PORTION, len(settings.photographs.paths)
    for first in range(0, count, portion):
        inputs = Inputs(artifact, settings, first)
        for machine in MACHINES:
            held = found["held"].setdefault(machine.name, {"photographs": 0, "outputs": 0, "differ": []})
            most = count if machine.emulated is None else min(facts["emulated"], settings.emulated, count)
            start, last = max(first, held["photographs"]), min(first + portion, most)
            if start >= last or sides.why_not(machine):
                continue
            settings.check_time()
            ways = _ways(artifact, machine)
            one, other = both(sides.commands(machine, artifact.root, inputs.file(start - first, last - first), ways))
            for way, place, rest in _differing(one, other):
                held["differ"].append(f"{way} {start + int(place)} {rest}")
            held |= {"photographs": last, "outputs": held["outputs"] + len(one), "ways": ways}
            found["held"][machine.name] = held
            write(file, found)
    return found


class Inputs:
    """Photographs from a place on as a network's tensors, in a file, made when they are first asked for."""

    def __init__(self, artifact: Artifact, settings: Settings, first: int) -> None:
        """They go through the artifact's usual pipeline. Raises Failed where it has none."""
        preprocess = artifact.manifest.preprocess
        if preprocess.default is None:
            raise Failed("it has no pipeline: give it one by `options`, as --resize")
        self._steps = preprocess.pipelines[preprocess.default]
        self._name = artifact.manifest.inputs[0].name
        self._paths, self._folder = settings.photographs.paths[first:], artifact.root.parent
        self._pixels: list[Array] = []
        self._written = (0, 0)

    def file(self, start: int, stop: int) -> Path:
        """Return a file of the rows from `start` to `stop`."""
        file = self._folder / "in.npz"
        for path in self._paths[len(self._pixels) : stop]:
            self._pixels.append(apply(self._steps, open_image(path), seed=SEED))
        if (start, stop) != self._written:
            np.savez(file, **{self._name: np.stack(self._pixels[start:stop])})
            self._written = (start, stop)
        return file


def _ways(artifact: Artifact, machine: Machine) -> list[str]:
    """Return batch sizes and threads: each batch with one thread, as of several the runtimes may share out rows."""
    variant = next(one for one in artifact.manifest.variants if one.target == machine.target)
    batches = sorted({entry.batch for entry in artifact.read_target(variant).entries})
    return [f"{batch}:1" for batch in batches] + (["1:2"] if machine.emulated is None else [])


def _compiled(name: str, facts: Mapping[str, Any], settings: Settings) -> Path:
    folder = settings.results / "work" / name / "artifact"
    if (folder / "manifest.json").is_file():
        return folder
    places = {"data": str(settings.data), "resnet50": str(settings.results / "resnet50.pth")}
    weights = facts.get("weights", "random:0").format(**places)
    network = facts["network"].format(**places)
    if "{resnet50}" in facts.get("weights", "") and not Path(weights).is_file():
        said([sys.executable, str(settings.data / "resnet50/expand.py"), weights], LIMIT_S)
    if "{data}" in facts["network"] and not Path(network).is_file():
        raise Failed(f"there is no file {Path(network).name} (--data)")
    command = [sys.executable, "-m", "ovenbird", "compile", network, "--quiet", "-o", str(folder)]
    command += ["--batch-sizes", ",".join(map(str, BATCH_SIZES)), "--tuning-records", "none"]
    command += [word for target in sorted({one.target for one in MACHINES}) for word in ("--target", target)]
    command += ["--weights", weights] if weights else []
    command += [word.format(**places) for word in facts.get("options", ())]
    folder.parent.mkdir(parents=True, exist_ok=True)
    said(command, COMPILE_LIMIT_S)
    return folder


def hold_pipelines(artifact: Artifact, settings: Settings, sides: Sides) -> None:
    """Hold the pixels of each pipeline of the artifact that no network had before, here and as ARM's code."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from support.picture_vectors import pipeline_case

    file = settings.results / "pipelines.json"
    known = read(file) or {}
    paths = settings.photographs.paths
    for name, steps in artifact.manifest.preprocess.pipelines.items():
        given = [encode(step) for step in steps]
        one = known.setdefault(json.dumps(given), {"name": name, "held": {}})
        for first in range(0, len(paths), PORTION):
            some = paths[first : first + PORTION]
            request = settings.results / "work/cases.json"
            cases: list[Found] = []
            for machine, command in sides.pictures(request).items():
                held = one["held"].setdefault(machine, {"photographs": 0, "differ": []})
                if held["photographs"] >= first + len(some):
                    continue
                settings.check_time()
                if not cases:
                    cases = [pipeline_case(Path(), str(path), given, first + place) for place, path in enumerate(some)]
                    request.write_text(json.dumps(cases), encoding="utf-8")
                lines = said(command, LIMIT_S).splitlines()
                if len(lines) != len(cases):
                    raise Failed(f"{command[0]} printed {len(lines)} lines for {len(cases)} photographs")
                triples = zip(some, lines, cases, strict=True)
                held["differ"] += [path.name for path, line, case in triples if line != case.get("input")]
                held["photographs"] = first + len(some)
                write(file, known)


def both(commands: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Run both sides at once; return the digest of each output by what it is of. Raises Failed."""
    with ThreadPoolExecutor(len(commands)) as pool:
        texts = list(pool.map(lambda command: said(command, LIMIT_S), commands))
    found = [dict(line.rsplit(" ", 1) for line in text.splitlines()) for text in texts]
    if not found[0] or found[0].keys() != found[1].keys():
        raise Failed(f"the runtimes gave {len(found[0])} and {len(found[1])} outputs")
    return found


def _differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[list[str]]:
    return [key.split(" ", 2) for key, digest in one.items() if other[key] != digest]


def said(command: Sequence[str], limit_s: float) -> str:
    """Run a process and return what it printed. Raises Failed with its last line."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=limit_s, env=os.environ | Sides.ENVIRONMENT
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{Path(command[0]).name} took longer than {limit_s:.0f} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no word"]
        raise Failed(f"{' '.join(map(str, command[:3]))}: exit code {done.returncode}: {lines[-1][:300]}")
    return done.stdout


def read(file: Path) -> Found | None:
    """Return what was found before; None where nothing was."""
    found: Found | None = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None
    return found


def write(file: Path, found: Found) -> None:
    """Write what was found, whole or not at all."""
    with replacing(file) as partial:
        partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")

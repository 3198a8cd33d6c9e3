"""One detector, step by step, each in a process of its own: compile it, hold it to its framework, write what its peers
run, time all.

found = try_detector("fastestdet", facts, Path("build/work"), Settings(Path("../shared/data"), 2), print, {})
found["outcome"], found["done"], found["end_to_end"]["ort"]["ratio"]         # without `bench` it has no times
"""

from __future__ import annotations

import json
import math
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COMPILE_LIMIT_S, LIMIT_S = 1800, 1200
"""What takes longer hangs."""
PEERS = ("ort", "openvino", "torch-eager")
Facts = Mapping[str, Any]
Step = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Settings:
    """Where files are, and how detectors are compiled and timed."""

    data: Path
    threads: int
    batch_sizes: tuple[int, ...] = (1, 8)
    keep: bool = False
    block_seconds: float = 0.5
    """Of one engine's turn."""
    rounds: int = 9
    """Turns of each engine."""
    bench: bool = True
    """Whether what its peers run is written, too."""
    timed: bool = True
    """Whether it is timed then."""
    runtime: Path | None = None
    """A static `ovenbird-run`: the size of an image of it and the model is noted."""
    photographs: int | None = 20
    """Of ImageNet, on which it is held to its framework, and all scenes; None: it is not held."""
    until: float = math.inf
    """When no step is begun any more, by `time.monotonic`."""


class Failed(Exception):
    """A step did not do its work; the message says why."""


class OutOfTime(Exception):
    """The next step is left to another run; the message says which."""


def try_detector(
    name: str, facts: Facts, work: Path, settings: Settings, keep: Callable[[dict[str, Any]], None], before: Facts
) -> dict[str, Any]:
    """Return what was found, as JSON has it, and `keep` it after each step: what `before` has is not done again, nor is
    an artifact that is there compiled again. Raises OutOfTime between two steps.
    """
    work.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = {"name": name, "title": facts["title"], "chip": _chip(), "threads": settings.threads}
    found |= before
    ended = False
    try:
        network, weights = _files(facts, settings.data)
        found |= {"weights": Path(weights).name, "network": Path(network).name}
        for one, step in _steps(facts, network, weights, work, settings).items():
            if one in found.get("done", ()):
                continue
            if time.monotonic() > settings.until:
                raise OutOfTime(f"{name}: {one} is next")
            found |= step()
            found |= {"done": [*found.get("done", ()), one], "outcome": "right"}
            keep(found)
        ended = True
    except Failed as error:
        found |= {"outcome": "failed", "why": str(error)}
        keep(found)
        ended = True
    finally:
        if ended and not settings.keep:
            shutil.rmtree(work, ignore_errors=True)
    return found


def _steps(facts: Facts, network: str, weights: str, work: Path, settings: Settings) -> dict[str, Step]:
    """Return what is to be done, by name, in order."""
    steps: dict[str, Step] = {"compile": lambda: _compiled(facts, network, weights, work, settings)}
    if settings.photographs is not None and not facts.get("own_file"):  # nobody but us decodes that
        steps["hold"] = lambda: _held(facts, network, weights, work, settings)
    if settings.runtime is not None:
        steps["image"] = partial(_image, work, settings.runtime)
    if settings.bench:
        files = [str(network), str(weights)] if facts.get("darknet") else None
        steps["prepare"] = lambda: _prepared(facts, network, weights, work, settings)
        timings = ("end_to_end", *(f"batch_{size}" for size in settings.batch_sizes)) if settings.timed else ()
        steps |= {what: partial(_timed, work, files, what, settings) for what in timings}
    return steps


def _files(facts: Facts, data: Path) -> tuple[str, str]:
    network = facts["network"].format(data=data)
    weights = facts.get("weights", "random:0").format(data=data)
    if "{data}" in facts["network"] and not Path(network).is_file():
        raise Failed(f"there is no file {Path(network).name} (--data)")
    return network, weights if not facts.get("own_file") else "the network's own"


def _compiled(facts: Facts, network: str, weights: str, work: Path, settings: Settings) -> dict[str, Any]:
    artifact, took = work / "artifact", work / "seconds.json"
    if not (artifact / "manifest.json").is_file():
        command = [sys.executable, "-m", "ovenbird", "compile", network, "--quiet", "-o", str(artifact)]
        command += ["--batch-sizes", ",".join(map(str, settings.batch_sizes)), "--tuning-records", "none"]
        if not facts.get("own_file"):
            command += ["--weights", weights]
        command += ["--size", facts["size"]] if "size" in facts else []
        command += ["--answer", "boxes"] if facts.get("own_file") else []
        if "labels" in facts:
            command += ["--labels", facts["labels"].format(data=settings.data)]
        started, before = time.perf_counter(), _children_seconds()
        _said(command, COMPILE_LIMIT_S)
        seconds = {"wall": time.perf_counter() - started, "processors": _children_seconds() - before}
        took.write_text(json.dumps(seconds), encoding="utf-8")
    manifest = json.loads((artifact / "manifest.json").read_text(encoding="utf-8"))
    program, figures = manifest["programs"]["main"], manifest["parity"]["programs"]["main"]
    seconds = json.loads(took.read_text(encoding="utf-8")) if took.is_file() else {}
    return {
        "compile_seconds": seconds.get("wall"),
        "processor_seconds": seconds.get("processors"),
        "artifact_bytes": sum(file["size"] for file in manifest["files"].values()),
        "size": program["inputs"][0]["shape"][2:],
        "agreed": figures.get("boxes_agreement"),
        "compared": figures.get("boxes"),
    }


def _children_seconds() -> float:
    """Return what processors have spent on processes that this one waited for: on a busy machine that says more."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _held(facts: Facts, network: str, weights: str, work: Path, settings: Settings) -> dict[str, Any]:
    """Hold the artifact to its framework's whole detector on photographs."""
    photos, most = settings.data / "photos", settings.photographs or 0
    imagenet = sorted(photos.glob("imagenet/*.JPEG"))
    paths = [*sorted(photos.glob("scenes/*.jpg")), *imagenet[:: max(1, len(imagenet) // max(1, most))][:most]]
    given = {"network": network, "artifact": str(work / "artifact"), "size": facts.get("size")}
    given |= {"weights": weights, "darknet": facts.get("darknet", False), "photographs": list(map(str, paths))}
    request = work / "holding.json"
    request.write_text(json.dumps(given), encoding="utf-8")
    said = _said([sys.executable, str(HERE / "holding.py"), str(request)], LIMIT_S)
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def _image(work: Path, runtime: Path) -> dict[str, Any]:
    """Note how large an image is that holds one executable alone, the C++ runtime with the model behind it."""
    made = work / "model"
    command = [sys.executable, "-m", "ovenbird", "bake", str(work / "artifact"), "--format", "executable"]
    _said([*command, "--runtime", str(runtime), "-o", str(made)], LIMIT_S)
    size = made.stat().st_size
    made.unlink()
    return {"image_bytes": size}


def _prepared(facts: Facts, network: str, weights: str, work: Path, settings: Settings) -> dict[str, Any]:
    """Write the ONNX files, at the size that was compiled; count parameters in the first."""
    given: dict[str, Any] = {"folder": str(work), "model": str(work / "artifact"), "quiet": True, "network": network}
    given |= {"batch_sizes": settings.batch_sizes, "weights": weights if ":" in weights or "." in weights else None}
    given |= {"image_size": int(facts["size"])} if "size" in facts else {}
    request = work / "request.json"
    request.write_text(json.dumps(given), encoding="utf-8")
    _said([sys.executable, str(HERE / "prepare.py"), str(request)], LIMIT_S, work / "error.json")
    reasons = json.loads((work / "network.json").read_text(encoding="utf-8"))["onnx"]
    for batch, reason in reasons.items():
        if reason:
            (work / f"model-b{batch}.onnx").unlink(missing_ok=True)
    first = work / "model-b1.onnx"
    counted = {"parameters": parameters(first), "weights_bytes": first.stat().st_size} if first.is_file() else {}
    return counted | {"onnx": {batch: reason for batch, reason in reasons.items() if reason}}


def parameters(file: Path) -> int:
    """Return how many floats an ONNX file holds, as initializers or constants."""
    import onnx

    graph = onnx.load(file).graph
    tensors = [*graph.initializer]
    tensors += [
        one.t for node in graph.node for one in node.attribute if node.op_type == "Constant" and one.HasField("t")
    ]
    floats = [tensor for tensor in tensors if tensor.data_type == onnx.TensorProto.FLOAT]
    count = 0
    for tensor in floats:
        size = 1
        for side in tensor.dims:
            size *= side
        count += size
    return count


def _timed(work: Path, darknet: Sequence[str] | None, what: str, settings: Settings) -> dict[str, Any]:
    request = work / "timing.json"
    facts = {"folder": str(work), "artifact": str(work / "artifact"), "peers": PEERS, "threads": settings.threads}
    facts |= {"darknet": darknet, "photos": str(settings.data / "photos/scenes"), "what": what}
    facts |= {"seconds": settings.block_seconds, "rounds": settings.rounds}
    request.write_text(json.dumps(facts), encoding="utf-8")
    said = _said([sys.executable, str(HERE / "timing.py"), str(request)], LIMIT_S)
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def _said(command: Sequence[str], limit_s: float, error: Path | None = None) -> str:
    """Run a process and return what it printed. Raises Failed with its last line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {limit_s:.0f} s") from None
    if done.returncode == 0:
        return done.stdout
    if error is not None and error.is_file():
        raise Failed(json.loads(error.read_text(encoding="utf-8"))["message"][:300])
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    told = next((line for line in reversed(lines) if line.startswith("error:")), lines[-1] if lines else "no word")
    raise Failed(told[:300])


def _chip() -> str:
    from ovenbird.benchmarking.report.machine import describe

    machine = describe()
    return f"{machine['processor']}, {machine['processors']} processors"

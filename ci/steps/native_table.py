"""Compare the C++ runtime with the Python runtime on one artifact and one photograph, in one table and one plot.

.venv/bin/python ci/steps/native_table.py artifacts/efficientnet-lite0 photo.jpg      # after `make native`
.venv/bin/python ci/steps/native_table.py DIR photo.jpg --onnx net-{batch}.onnx       # and ONNX Runtime's two
.venv/bin/python ci/steps/native_table.py DIR photo.jpg --ncnn net.ncnn.param         # and ncnn (`pnnx` converts)
.venv/bin/python ci/steps/native_table.py DIR photo.jpg --onnx net.onnx --plain-sha   # without SHA instructions

ONNX Runtime is called from Python, and from C++ (onnxruntime.cpp, on the library of its wheel). Start to first answer
is a process from nothing to its answer; steady latency and images/s are calls on tensors. Each is measured in turn,
`--rounds` times: the shortest and the median are shown. Memory is the largest resident set of the first answer, size
everything that must be installed for it, without weights.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "build/native/ovenbird-run"
PYTHON = [sys.executable, "-m", "ovenbird_runtime"]
PACKAGES = {
    "Python": ("ovenbird_runtime", "tvm_ffi", "numpy", "PIL", "click"),
    "ONNX Runtime": ("onnxruntime", "numpy", "PIL"),
    "ncnn": ("ncnn", "numpy", "PIL"),
}
LIBRARIES = {"numpy": "numpy.libs", "PIL": "pillow.libs"}
"""Folders next to a package that belong to it."""
ONNX = """
import sys, time, numpy as np, onnxruntime as ort
options = ort.SessionOptions()
options.intra_op_num_threads = int(sys.argv[2])
session = ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
one = session.get_inputs()[0]
if isinstance(one.shape[0], int) and one.shape[0] != int(sys.argv[3]):
    sys.exit("error: it takes another batch size")
shape = [size if isinstance(size, int) else int(sys.argv[3]) for size in one.shape]
if sys.argv[4]:
    from PIL import Image
    picture = Image.open(sys.argv[4]).convert("RGB").resize(shape[:1:-1])
    image = np.asarray(picture, np.float32).transpose(2, 0, 1)[None] / 255
    session.run(None, {one.name: image})
else:
    image, times, end = np.zeros(shape, np.float32), [], time.perf_counter() + float(sys.argv[5])
    while time.perf_counter() < end:
        start = time.perf_counter()
        session.run(None, {one.name: image})
        times.append(time.perf_counter() - start)
    print(np.median(times) * 1e3)
"""

NCNN = """
import sys, time, numpy as np, ncnn
net = ncnn.Net()
net.opt.num_threads = int(sys.argv[2]) or net.opt.num_threads
net.load_param(sys.argv[1])
net.load_model(sys.argv[1].removesuffix("param") + "bin")
height, width = map(int, sys.argv[6].split("x"))
def run(image):
    extractor = net.create_extractor()
    extractor.input(net.input_names()[0], image)
    return np.array(extractor.extract(net.output_names()[0])[1])
if sys.argv[4]:
    from PIL import Image
    picture = Image.open(sys.argv[4]).convert("RGB").resize((width, height))
    run(ncnn.Mat(np.ascontiguousarray(np.asarray(picture, np.float32).transpose(2, 0, 1)) / np.float32(255)))
else:
    image, times, end = ncnn.Mat(np.zeros((3, height, width), np.float32)), [], time.perf_counter() + float(sys.argv[5])
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(int(sys.argv[3])):  # it has no batches
            run(image)
        times.append(time.perf_counter() - start)
    print(np.median(times) * 1e3)
"""
SHA = {"OVENBIRD_SHA": "plain", "OPENSSL_ia32cap": ":~0x20000000"}
"""What makes a processor one without instructions for SHA-256, to this runtime and to Python's hashlib."""


@dataclass
class Engine:
    """One side of the comparison: how it is started, and what was measured."""

    name: str
    first: list[str]
    steady: Callable[[int, int], float]
    """Return the median of calls in ms, given threads and batch."""
    size_bytes: int
    starts_ms: list[float] = field(default_factory=list)
    steady_ms: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    memory_bytes: int = 0

    def measure(self, threads_and_batches: list[tuple[int, int]]) -> None:
        """Measure each figure once more."""
        start = time.perf_counter()
        child = subprocess.Popen(self.first, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        if status:
            raise SystemExit(f"error: {self.name} failed: {' '.join(self.first)}")
        self.starts_ms.append((time.perf_counter() - start) * 1e3)
        self.memory_bytes = max(self.memory_bytes, used.ru_maxrss * 1024)
        for key in threads_and_batches:
            self.steady_ms.setdefault(key, []).append(self.steady(*key))


def output_of(command: list[str]) -> str:
    """Return what a command prints; end with its message where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip() or f"error: {command[0]} failed")
    return done.stdout


def bench(command: list[str], artifact: str, seconds: float) -> Callable[[int, int], float]:
    """Return what asks a runtime's own `bench` for the median of its calls."""

    def steady(threads: int, batch: int) -> float:
        words = ["bench", artifact, "--threads", str(threads), "-b", str(batch), "--seconds", str(seconds), "--json"]
        return float(json.loads(output_of([*command, *words]))["timings"][0]["median_ms"])

    return steady


def installed(packages: tuple[str, ...]) -> int:
    """Return the bytes of packages, and of the libraries that came with them."""
    total = 0
    for name in packages:
        spec = importlib.util.find_spec(name)
        for folder in map(Path, (spec.submodule_search_locations or []) if spec else []):
            files = [*folder.rglob("*"), *(folder.parent / LIBRARIES.get(name, name)).rglob("*")]
            total += sum(path.stat().st_size for path in {*files} if path.suffix != ".pyc" and path.is_file())
    return total


def engines(given: argparse.Namespace) -> list[Engine]:
    """Return the sides that there are."""
    native, python = [str(NATIVE)], PYTHON
    found = [
        Engine("C++", [*native, "run", given.artifact, given.image], bench(native, given.artifact, given.seconds),
               NATIVE.stat().st_size),
        Engine("Python", [*python, "run", given.artifact, given.image], bench(python, given.artifact, given.seconds),
               installed(PACKAGES["Python"])),
    ]  # fmt: skip
    if given.onnx:
        python = [sys.executable, "-c", ONNX]
        found.append(peer("ONNX Runtime", python, given.onnx, given, installed(PACKAGES["ONNX Runtime"])))
        program, library = onnxruntime_in_cpp()
        size = program.stat().st_size + library.stat().st_size
        found.append(peer("ONNX Runtime, C++", [str(program), str(library)], given.onnx, given, size))
    if given.ncnn:
        found.append(peer("ncnn", [sys.executable, "-c", NCNN], given.ncnn, given, installed(PACKAGES["ncnn"])))
    return found


def peer(name: str, command: list[str], network: str, given: argparse.Namespace, size_bytes: int) -> Engine:
    """Return a side that is run by a command and its network, threads (0: its own choice), batch, image, seconds, and,
    of a script, the image's size.
    """
    size = [given.size] if command[0] == sys.executable else []

    def words(threads: int, batch: int, image: str, seconds: float) -> list[str]:
        return [*command, network.format(batch=batch), str(threads), str(batch), image, str(seconds), *size]

    def steady(threads: int, batch: int) -> float:
        return float(output_of(words(threads, batch, "", given.seconds)))

    return Engine(name, words(0, 1, given.image, 0), steady, size_bytes)


def onnxruntime_in_cpp() -> tuple[Path, Path]:
    """Return a C++ program that runs ONNX files, built here, and ONNX Runtime's library."""
    spec = importlib.util.find_spec("onnxruntime")
    libraries = sorted(Path(spec.origin).parent.glob("capi/libonnxruntime.so.*")) if spec and spec.origin else []
    if not libraries:
        raise SystemExit("error: the package onnxruntime is not installed, or without its library")
    source, program = Path(__file__).with_name("onnxruntime.cpp"), NATIVE.with_name("onnxruntime")
    output_of(["g++", "-std=c++17", "-O2", "-s", "-Wall", "-o", str(program), str(source), "-ljpeg", "-ldl"])
    return program, libraries[0]


def plot(path: Path, sides: list[Engine], figures_of: dict[str, Callable[[Engine], float]]) -> None:
    """Draw each figure as bars, one for each side (matplotlib)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    for axes, (what, value) in zip(figure.subplots(1, len(figures_of)), figures_of.items(), strict=True):
        bars = axes.barh([side.name for side in sides], [value(side) for side in sides])
        axes.bar_label(bars, fmt="%.4g", padding=2)
        axes.set_title(what, fontsize=9)
        axes.invert_yaxis()
        axes.margins(x=0.25)
        if axes.get_subplotspec().colspan.start:
            axes.set_yticklabels([])
    figure.savefig(path, dpi=120)


def figures(values: list[float]) -> str:
    """Return the shortest and the median."""
    return f"{min(values):.1f} / {statistics.median(values):.1f}"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description="Compare the C++ runtime with the Python runtime.")
    parser.add_argument("artifact")
    parser.add_argument("image")
    parser.add_argument("--onnx", help="the same network, for ONNX Runtime; {batch} in its name is the batch size")
    parser.add_argument("--ncnn", help="the same network as ncnn's .param, its .bin next to it, for ncnn")
    parser.add_argument("--size", default="224x224", help="height x width of ncnn's images")
    parser.add_argument("--plain-sha", action="store_true", help="without the processor's instructions for SHA-256")
    parser.add_argument("--plot", type=Path, help="write the figures as bars here, a PNG file")
    parser.add_argument("--batch", type=int, default=8, help="of images/s; one that was compiled")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each steady figure")
    given = parser.parse_args()
    if not NATIVE.is_file():
        raise SystemExit("error: there is no build/native/ovenbird-run: make native")
    os.environ.update(SHA if given.plain_sha else {})
    sides, keys = engines(given), [(1, 1), (2, 1), (2, given.batch)]
    for _ in range(given.rounds):
        for side in sides:
            side.measure(keys)
    head = ["shortest / median", "start to first answer, ms", "1 thread, ms", "2 threads, ms"]
    print(f"| {' | '.join(head)} | images/s at batch {given.batch} | memory, MB | size, MB |")
    print("|---|---|---|---|---|---|---|")
    for side in sides:
        one, two, many = (side.steady_ms[key] for key in keys)
        rate = given.batch * 1e3 / statistics.median(many)
        print(
            f"| {side.name} | {figures(side.starts_ms)} | {figures(one)} | {figures(two)} | {rate:.1f} "
            f"| {side.memory_bytes / 1e6:.0f} | {side.size_bytes / 1e6:.1f} |"
        )
    if given.plot:
        shown: dict[str, Callable[[Engine], float]] = {
            "start to first answer, ms": lambda side: min(side.starts_ms),
            "1 thread, ms": lambda side: min(side.steady_ms[keys[0]]),
            "2 threads, ms": lambda side: min(side.steady_ms[keys[1]]),
            f"images/s at batch {given.batch}": lambda side: (
                given.batch * 1e3 / statistics.median(side.steady_ms[keys[2]])
            ),
            "memory, MB": lambda side: side.memory_bytes / 1e6,
            "installed, MB": lambda side: side.size_bytes / 1e6,
        }
        plot(given.plot, sides, shown)


if __name__ == "__main__":
    main()

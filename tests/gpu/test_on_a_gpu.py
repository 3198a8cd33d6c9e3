"""GPU code on a real GPU: agreement with torch, and our time against other engines' on the same chip, in one run.

make test TESTS="tests/gpu -m gpu -s"
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ovenbird.compiling import compile_network
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.options import CompileOptions
from ovenbird.targets import TargetSpec
from ovenbird_runtime.manifest.agreement import LIMITS, Precision, compare

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]

BATCHES = (1, 8, 64)
RUN = """
import sys, time, json, numpy as np, ovenbird_runtime
image, times = np.load(sys.argv[2]), {}
with ovenbird_runtime.load(sys.argv[1], device="cuda") as model:
    for batch in map(int, sys.argv[4].split(",")):
        given = {"image": image[:batch]}
        for _ in range(5):
            out = model.run(given)
        np.savez(f"{sys.argv[3]}-{batch}.npz", **out)
        spent = []
        for _ in range(30):
            start = time.perf_counter(); model.run(given); spent.append(time.perf_counter() - start)
        times[batch] = sorted(spent)[15] * 1e3
print(json.dumps(times))
"""


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_resnet50_beside_other_engines(
    spec: TargetSpec, environment: dict[str, str], tmp_path: Path, precision: Precision
) -> None:
    network = load_network("resnet50", NetworkOptions(weights="random:7"))
    artifact = tmp_path / "artifact"
    report = compile_network(network, artifact, CompileOptions((spec.name,), BATCHES, "none", precisions=(precision,)))
    assert report.verified == (spec.name,), report.unverified  # by `compile` itself, where there is a GPU
    image = np.random.default_rng(0).standard_normal((max(BATCHES), 3, 224, 224)).astype(np.float32)
    np.save(tmp_path / "in.npy", image)
    sizes = ",".join(map(str, BATCHES))
    arguments = [str(artifact), str(tmp_path / "in.npy"), str(tmp_path / "out"), sizes]
    ours = answer([sys.executable, "-c", RUN, *arguments], environment)
    expected = network.reference({"image": image})
    for batch in BATCHES:
        got = np.load(tmp_path / f"out-{batch}.npz")
        for name, values in expected.items():
            limits = LIMITS[precision]
            assert compare(got[name], values[:batch], limits).fault == "", (batch, name)
    peers = Path(__file__).with_name("peers.py")
    for engine, times in answer([sys.executable, str(peers), precision, arguments[1], sizes], environment).items():
        for batch, theirs in times.items():
            ratio = ours[batch] / theirs
            print(f"{precision} batch {batch}: ours {ours[batch]:.3f} ms, {engine} {theirs:.3f} ms, ratio {ratio:.2f}")


def answer(command: list[str], environment: dict[str, str]) -> dict[str, dict[str, float]]:
    """The last line that a command prints, which is JSON."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found

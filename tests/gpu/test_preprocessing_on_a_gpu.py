"""Pre-processing for a real GPU: Pillow's pixels by the library's own code, and what it takes against the network.

make test TESTS="tests/gpu -m gpu -s"
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ovenbird.targets import TargetSpec

from .conftest import Run

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(1800)]

RUN = """
import sys, time, json, numpy as np, ovenbird_runtime
from ovenbird_runtime.preprocess.interpreted import apply
from support.pictures import noise

def median_ms(call):
    spent = []
    for _ in range(55):
        start = time.perf_counter(); call(); spent.append(time.perf_counter() - start)
    return sorted(spent[5:])[25] * 1e3

image = noise(500, 375)
with ovenbird_runtime.load(sys.argv[1], device="cuda") as model:
    assert model.target.resample
    for name, pipeline in model.manifest.preprocess.pipelines.items():
        for size in ((500, 375), (375, 500), (1500, 1100), (257, 255)):
            given = model.preprocessor.apply(pipeline, noise(*size), 5, 1)
            np.testing.assert_array_equal(given, apply(pipeline, noise(*size), 5, 1), err_msg=f"{name} {size}")
    pipeline = model.manifest.preprocess.pipelines["imagenet"]
    tensor = model.preprocessor.apply(pipeline, image)
    (prediction,) = model.predict([image], preprocess="imagenet", top=1)
    (logits,) = model.run({"image": tensor[None]})["logits"]
    assert prediction.top[0].index == int(logits.argmax())
    times = {"kernel": median_ms(lambda: model.preprocessor.apply(pipeline, image)),
             "Pillow": median_ms(lambda: apply(pipeline, image)),
             "network": median_ms(lambda: model.run({"image": tensor[None]})),
             "predict": median_ms(lambda: model.predict([image], preprocess="imagenet"))}
print(json.dumps(times))
"""


def test_pixels_are_pillow_s(spec: TargetSpec, ovenbird: Run, environment: dict[str, str], tmp_path: Path) -> None:
    common = ("--weights", "random:7", "--batch-sizes", "1", "--precision", "fp16")
    done = ovenbird("compile", "resnet50", "--target", spec.name, *common, "-o", tmp_path / "artifact")
    assert done.returncode == 0, done.stderr
    command = [sys.executable, "-c", RUN, str(tmp_path / "artifact")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    times: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    print("imagenet, 500x375, batch 1, fp16: " + ", ".join(f"{name} {ms:.3f} ms" for name, ms in times.items()))
    assert times["kernel"] < times["Pillow"]

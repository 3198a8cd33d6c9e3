"""The C++ runtime as a Python package: alone, and behind `ovenbird_runtime.load`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ovenbird_runtime
from native.conftest import python
from ovenbird_runtime.tensors.tensors import npz_bytes
from support.captioner_artifact import captioner_artifact
from support.tiny_artifact import reseal

pytestmark = pytest.mark.slow
WHEEL_BYTES = 400_000
"""With JPEG inside; 0.361 MB of x86-64 when this was written."""


@pytest.fixture(scope="module")
def inputs(detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of five rows, beside one of what TVM's runtime makes of them, row by row."""
    folder, random = tmp_path_factory.mktemp("inputs"), np.random.default_rng(3)
    arrays = {
        "image": random.standard_normal((5, 3, 32, 32)).astype(np.float32),
        "scale": random.standard_normal((5, 5)).astype(np.float32),
    }
    with ovenbird_runtime.load(detector, threads=1, engine="tvm") as model:
        rows = [model.run({name: array[i : i + 1] for name, array in arrays.items()}) for i in range(5)]
    (folder / "in.npz").write_bytes(npz_bytes(arrays))
    (folder / "out.npz").write_bytes(npz_bytes({name: np.concatenate([row[name] for row in rows]) for name in rows[0]}))
    return folder


def test_the_wheel_is_small_and_holds_its_licences(wheel: Path, site: Path) -> None:
    assert wheel.stat().st_size <= WHEEL_BYTES
    (licences,) = site.glob("ovenbird_native-*.dist-info/licenses")
    assert {path.name for path in licences.iterdir()} == {"LICENSE", "NOTICE"}
    (library,) = site.glob("ovenbird_native/_binding*.so")
    needed = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    libraries = {line.split("[")[1].partition("]")[0] for line in needed.splitlines() if "NEEDED" in line}
    assert libraries <= {"libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libc.so.6", "ld-linux-x86-64.so.2"}


ALONE = """
import sys, threading
import numpy as np
import ovenbird_native

assert not {"ovenbird_runtime", "tvm_ffi", "PIL", "click"} & sys.modules.keys()
model = ovenbird_native.load(sys.argv[1], threads=2)
given, expected = dict(np.load(sys.argv[2] + "/in.npz")), dict(np.load(sys.argv[2] + "/out.npz"))
assert [(spec.name, spec.dtype, spec.shape) for spec in model.inputs] == [
    ("image", "float32", ("N", 3, 32, 32)), ("scale", "float32", ("N", 5))]
assert len(model.labels("classes")) in (0, 5)

def same(found, rows=slice(None)):
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array[rows], rtol=1e-5, atol=1e-5)

one = model.run({name: array[:1] for name, array in given.items()})
assert all(one[name].tobytes() == array[:1].tobytes() for name, array in expected.items())
one["classes"][0, 0] = 7  # the caller's own
same(model.run(given))
others = {
    "a list": {name: array.tolist() for name, array in given.items()},
    "other orders": {"image": np.asfortranarray(given["image"].astype(">f8")), "scale": given["scale"]},
    "read-only": {name: array.copy() for name, array in given.items()},
    "every other row": {name: np.repeat(array, 2, axis=0)[::2] for name, array in given.items()},
}
for array in others["read-only"].values():
    array.flags.writeable = False
for name, inputs in others.items():
    same(model.run(inputs))
del model.run(given)["classes"]

failures = []
def call():
    try:
        for i in range(50):
            same(model.run({name: array[i % 5 : i % 5 + 1] for name, array in given.items()}), slice(i % 5, i % 5 + 1))
    except BaseException as error:
        failures.append(error)
threads = [threading.Thread(target=call) for _ in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
assert not failures, failures

def kind(action):
    try:
        action()
    except ovenbird_native.NativeError as error:
        return error.kind
image = given["image"]
print(kind(lambda: ovenbird_native.load("nowhere")), kind(lambda: ovenbird_native.load(sys.argv[1], threads=-1)),
      kind(lambda: ovenbird_native.load(sys.argv[1], precision="f16")), kind(lambda: model.run({"image": image})),
      kind(lambda: model.run({**given, "image": image[:, :1]})), kind(lambda: model.run({**given, "image": image > 0})),
      kind(lambda: model.run({**given, "image": image * np.nan})), kind(lambda: model.run(given, program="x")),
      kind(lambda: model.run({**given, "image": image.astype(complex)})), kind(lambda: model.run([image])),
      kind(lambda: model.predict("photo.jpg")),
      kind(lambda: model.run({**given, "image": image * np.nan}, allow_nan=True)))
"""


def test_it_works_alone(site: Path, detector: Path, inputs: Path) -> None:
    kinds = python(site, ALONE, detector, inputs).split()
    assert kinds == [
        "ArtifactNotFound", "WrongOption", "WrongOption", "WrongInputNames", "WrongShape", "WrongDtype", "NotFinite",
        "UnknownProgram", "WrongDtype", "WrongInputNames", "PipelineError", "None",
    ]  # fmt: skip


BOTH = """
import sys
import numpy as np
import ovenbird_runtime
from ovenbird_runtime import errors

given, expected = dict(np.load(sys.argv[2] + "/in.npz")), dict(np.load(sys.argv[2] + "/out.npz"))
models = [ovenbird_runtime.load(sys.argv[1], threads=2, engine=engine) for engine in sys.argv[3:]]
assert [model.engine for model in models] == sys.argv[3:]
for _ in range(2):
    for model in models:
        for i in range(5):
            found = model.run({name: array[i : i + 1] for name, array in given.items()})
            assert all(found[name].tobytes() == array[i : i + 1].tobytes() for name, array in expected.items())
        for name, array in model.run(given).items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-5)
        try:
            model.run({**given, "image": given["image"] * np.nan})
        except errors.NotFinite:
            pass
        model.run({**given, "image": given["image"] * np.nan}, nan="allow")
for model in models:
    model.close()
print("tvm_ffi" in sys.modules)
"""


@pytest.mark.parametrize("engines", [("tvm", "native"), ("native", "tvm"), ("native",)])
def test_both_run_in_one_process_in_either_order(
    site: Path, detector: Path, inputs: Path, engines: tuple[str, ...]
) -> None:
    assert python(site, BOTH, detector, inputs, *engines) == f"{'tvm' in engines}\n"


TEXTS = """
import json, sys
import numpy as np
import ovenbird_runtime

right = json.load(open(sys.argv[1] + "/right.json"))
with ovenbird_runtime.load(sys.argv[1], threads=2) as model:
    writer = model.text_writer(4)
    found = writer.write(np.asarray(right["pictures"], np.float32), writer.request())
    print([list(text.tokens) for text in found] == right["tokens"])
print(model.engine, "tvm_ffi" in sys.modules)
"""


def test_texts_are_written_by_it(site: Path) -> None:
    """A loop around its programs: states are read where they lie, several sequences at a time."""
    assert python(site, TEXTS, captioner_artifact()).splitlines() == ["True", "native False"]


CHOOSE = """
import sys
import ovenbird_runtime
from ovenbird_runtime.serve.models.deployment import Deployment
from ovenbird_runtime.serve.settings import ModelSource, Settings
from pathlib import Path

print(ovenbird_runtime.load(sys.argv[1], threads=1).engine)
source = ModelSource(None, Path(sys.argv[1]))
deployment = Deployment.prepare(source, Settings((source,), threads=2))     # its golden outputs reproduced
print(deployment.model.engine)
for path in sys.argv[2:]:
    for engine in (None, "native"):
        try:
            print(ovenbird_runtime.load(path, threads=1, engine=engine).engine)
        except ovenbird_runtime.OvenbirdError as error:
            print(type(error).__name__)
"""


def test_it_is_chosen_where_the_code_has_a_plan(site: Path, detector: Path, tmp_path: Path) -> None:
    """By itself, by the server as well; else TVM's runs it, and asking for this one is a typed error."""
    plain, spoilt = tmp_path / "plain", tmp_path / "spoilt"
    for folder in (plain, spoilt):
        shutil.copytree(detector, folder)
    (plan,) = plain.glob("targets/*/plan.json")
    plan.unlink()
    reseal(plain)
    (weights,) = spoilt.glob("weights/*")
    weights.write_bytes(bytes(weights.stat().st_size))
    found = python(site, CHOOSE, detector, plain, spoilt).split()
    assert found == ["native", "native", "tvm", "PlanMissing", "FileChanged", "FileChanged"]
    assert python(site, CHOOSE, detector, OVENBIRD_ENGINE="tvm").split() == ["tvm", "tvm"]


PREDICT = """
import json, sys
import ovenbird_native, ovenbird_runtime

images = sys.argv[2:]
found = ovenbird_native.load(sys.argv[1], threads=1).predict(images, seed=1, top=3)
model = ovenbird_runtime.load(sys.argv[1], threads=1, engine="native")
expected = [one.to_json() for one in model.predict(images, seed=1, top=3)]
prepared = ovenbird_native.load(sys.argv[1]).preprocess(open(images[0], "rb").read())
print(json.dumps([found, expected, list(next(iter(prepared.values())).shape)]))
"""


def test_photographs_are_answered_as_python_does(
    site: Path, compiled: Callable[..., Path], photographs: tuple[list[Path], list[int]]
) -> None:
    artifact, images = compiled("efficientnet-lite0", "--weights", "random:2"), photographs[0][:4]
    with ovenbird_runtime.load(artifact, threads=1, engine="tvm") as model:
        expected = [one.to_json() for one in model.predict(images, seed=1, top=3)]
    found, behind, shape = json.loads(python(site, PREDICT, artifact, *images))
    assert behind == json.loads(json.dumps(expected))
    assert shape == [1, 3, 224, 224]
    for one, other in zip(found, behind, strict=True):
        for ours, theirs in zip(one["classes"]["logits"], other["classes"]["logits"], strict=True):
            assert (ours["index"], ours["label"]) == (theirs["index"], theirs["label"])
            assert ours["confidence"] == pytest.approx(theirs["confidence"], rel=1e-12)

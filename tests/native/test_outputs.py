"""The C++ runtime gives the Python runtime's outputs, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ovenbird_runtime
from native.conftest import Command
from ovenbird_runtime.manifest.agreement import Precision
from ovenbird_runtime.tensors.tensors import npz_bytes, read_tensors
from support.plan_runner import some_inputs

Compiled = Callable[..., Path]
Arrays = dict[str, np.ndarray]


def run(native: Command, artifact: Path, folder: Path, inputs: Arrays, *options: str) -> Arrays:
    """Run the network by `ovenbird-run`."""
    (folder / "in.npz").write_bytes(npz_bytes(inputs))
    done = native("run", artifact, "-i", folder / "in.npz", "-o", folder / "out.npz", *options)
    assert done.code == 0, done.err
    return read_tensors(folder / "out.npz")


def same(
    native: Command, artifact: Path, folder: Path, batches: tuple[int, ...], precision: Precision | None = None
) -> None:
    """Compare all outputs for batches that were compiled, with one thread and two."""
    options = () if precision is None else ("--precision", precision)
    for threads in (1, 2):
        with ovenbird_runtime.load(artifact, threads=threads, precision=precision, engine="tvm") as model:
            for batch in batches:
                arrays = some_inputs(model.inputs, batch, seed=batch)
                inputs = {spec.name: array for spec, array in zip(model.inputs, arrays, strict=True)}
                expected = model.run(inputs)
                found = run(native, artifact, folder, inputs, "--threads", str(threads), *options)
                assert found.keys() == expected.keys()
                for name, array in expected.items():
                    assert np.ptp(array.astype(np.float64)) > 0, f"{name} says nothing"
                    assert found[name].dtype == array.dtype
                    assert found[name].shape == array.shape
                    assert found[name].tobytes() == array.tobytes(), f"{name}, batch {batch}, {threads} threads"


def test_outputs_are_the_same_bits(native: Command, detector: Path, tmp_path: Path) -> None:
    same(native, detector, tmp_path, (1, 4))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "batches"),
    [
        (("networks:tokens", "--batch-sizes", "1,4"), (1, 4)),
        (("networks:fixed",), (1,)),
        (("efficientnet-lite0", "--weights", "random:2"), (1, 8)),
        (("resnet18", "--weights", "random:3", "--batch-sizes", "1"), (1,)),
    ],
    ids=["tokens", "fixed", "efficientnet-lite0", "resnet18"],
)
def test_outputs_of_networks_are_the_same_bits(
    native: Command, compiled: Compiled, tmp_path: Path, network: tuple[str, ...], batches: tuple[int, ...]
) -> None:
    same(native, compiled(*network), tmp_path, batches)


@pytest.mark.slow
def test_int8_outputs_are_the_same_bits(native: Command, compiled: Compiled, tmp_path: Path) -> None:
    """Of an artifact that holds both precisions: the one that is asked for."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(10):
        coarse = random.integers(0, 256, (4 + index, 5, 3), np.uint8)
        Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    words = ("--batch-sizes", "1,4", "--preprocess", "imagenet", "--answer", "classes", "--calibrate", str(folder))
    artifact = compiled("networks:images", *words, "--precision", "f32,int8")
    outputs = {}
    for precision in ("f32", "int8"):
        same(native, artifact, tmp_path, (1, 4), precision)
        outputs[precision] = (tmp_path / "out.npz").read_bytes()
    assert outputs["f32"] != outputs["int8"]


def test_a_batch_of_any_size_is_composed_of_compiled_ones(native: Command, detector: Path, tmp_path: Path) -> None:
    """Of 4 and 1 rows; three rows are three calls, of a tenth of an image less than one with padding."""
    with ovenbird_runtime.load(detector, threads=1) as model:
        for batch, parts in {3: (1, 1, 1), 5: (4, 1), 9: (4, 4, 1)}.items():
            arrays = some_inputs(model.inputs, batch, seed=batch)
            inputs = {spec.name: array for spec, array in zip(model.inputs, arrays, strict=True)}
            rows, expected = 0, []
            for part in parts:
                expected.append(model.run({name: array[rows : rows + part] for name, array in inputs.items()}))
                rows += part
            found = run(native, detector, tmp_path, inputs)
            for name, array in found.items():
                assert array.tobytes() == np.concatenate([one[name] for one in expected]).tobytes()


def test_arrays_are_taken_as_callers_have_them(native: Command, detector: Path, tmp_path: Path) -> None:
    """Of other types of their kind, byte orders and layouts, and compressed."""
    random = np.random.default_rng(5)
    inputs = {
        "image": random.standard_normal((2, 3, 32, 32)).astype(np.float16),
        "scale": random.standard_normal((2, 5)).astype(np.float32),
    }
    expected = run(native, detector, tmp_path, inputs)
    others = {
        "image": np.asfortranarray(inputs["image"].astype(">f8")),
        "scale": inputs["scale"].astype(np.float64),
    }
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "others.npz", **others)
        done = native("run", detector, "-i", tmp_path / "others.npz", "-o", tmp_path / "out.npz")
        assert done.code == 0, done.err
        found = read_tensors(tmp_path / "out.npz")
        assert all(found[name].tobytes() == array.tobytes() for name, array in expected.items())


def test_outputs_are_written_as_python_writes_them(native: Command, detector: Path, tmp_path: Path) -> None:
    arrays = {"image": np.ones((1, 3, 32, 32), np.float32), "scale": np.ones((1, 5), np.float32)}
    found = run(native, detector, tmp_path, arrays)
    assert (tmp_path / "out.npz").read_bytes() == npz_bytes(found)


IMAGE, SCALE = np.zeros((2, 3, 32, 32), np.float32), np.zeros((2, 5), np.float32)
WRONG = {
    "nothing": {},
    "one missing": {"image": IMAGE},
    "one too many": {"image": IMAGE, "scale": SCALE, "x": SCALE},
    "another shape": {"image": IMAGE[:, :2], "scale": SCALE},
    "another rank": {"image": IMAGE[0], "scale": SCALE},
    "no rows": {"image": IMAGE[:0], "scale": SCALE[:0]},
    "two batch sizes": {"image": IMAGE, "scale": SCALE[:1]},
    "whole numbers": {"image": IMAGE.astype(np.int32), "scale": SCALE},
    "truth values": {"image": IMAGE, "scale": SCALE.astype(bool)},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_inputs_are_refused_with_the_same_words(
    native: Command, detector: Path, tmp_path: Path, name: str
) -> None:
    with ovenbird_runtime.load(detector, threads=1) as model, pytest.raises(ovenbird_runtime.InputError) as caught:
        model.run(WRONG[name])
    (tmp_path / "in.npz").write_bytes(npz_bytes(WRONG[name]))
    done = native("run", detector, "-i", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    assert (done.code, done.err) == (1, f"error: {type(caught.value).__name__}: {caught.value}\n")
    assert not (tmp_path / "out.npz").exists()


def test_numbers_that_are_not_finite_are_refused(native: Command, detector: Path, tmp_path: Path) -> None:
    image = IMAGE.copy()
    image[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    (tmp_path / "in.npz").write_bytes(npz_bytes({"image": image, "scale": SCALE}))
    done = native("run", detector, "-i", tmp_path / "in.npz", "-o", tmp_path / "out.npz")
    assert done.code == 1
    assert done.err.startswith("error: NotFinite: image holds 3 values that are NaN or infinite as float32")

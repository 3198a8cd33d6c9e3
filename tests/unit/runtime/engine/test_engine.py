"""The engine: right answers for every batch size, from many threads, and typed errors where the code is another."""

from __future__ import annotations

import dataclasses
import gc
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ovenbird_runtime
from ovenbird_runtime import errors
from ovenbird_runtime.artifact.golden import read_golden
from ovenbird_runtime.manifest.manifest import Entry, Manifest, Target, TensorSpec
from ovenbird_runtime.model import Model
from support.tiny_artifact import coupled_artifact, reprogram, reseal, retarget

replace = dataclasses.replace


def batch_of(count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal((count, 3, 32, 32)).astype(np.float32)


def test_golden_outputs_are_reproduced(model: Model, tiny: Path) -> None:
    inputs, expected = read_golden((tiny / "evidence/golden.npz").read_bytes())
    for name, array in model.run(inputs).items():
        np.testing.assert_allclose(array, expected[name], rtol=0, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 33, 130])
def test_any_batch_runs(model: Model, count: int) -> None:
    image = batch_of(count)
    whole = model.run({"image": image})
    for name, spec in {spec.name: spec for spec in model.outputs}.items():
        assert whole[name].shape == spec.with_batch(count)
        rows = [model.run({"image": image[i : i + 1]})[name] for i in range(count)]
        np.testing.assert_allclose(whole[name], np.concatenate(rows), rtol=1e-5, atol=1e-5)


def test_lanes_give_what_one_image_after_the_other_gives(spoilt: Path) -> None:
    retarget(spoilt, lambda t: replace(t, entries=t.entries[:1]))  # batch 1 alone: eight images are a crowd
    with ovenbird_runtime.load(spoilt, threads=2) as model, ovenbird_runtime.load(spoilt, threads=1) as plain:
        image = batch_of(9)
        expected = plain.run({"image": image})
        for _ in range(5):
            for name, array in model.run({"image": image}).items():
                np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-5)
        assert plain.lanes.count == 0


def test_compiled_preprocessing_that_is_not_there(spoilt: Path) -> None:
    retarget(spoilt, lambda t: dataclasses.replace(t, resample="no_such_function"))
    with pytest.raises(errors.EngineLoadFailed, match="has no no_such_function"):
        ovenbird_runtime.load(spoilt)


def test_padding_is_zeros_whatever_was_there_before(tmp_path: Path) -> None:
    artifact = Path(shutil.copytree(coupled_artifact(), tmp_path / "coupled"))
    retarget(artifact, lambda t: replace(t, entries=t.entries[1:]))  # only batch 4: all others are padded
    with ovenbird_runtime.load(artifact, threads=1) as model:
        image = batch_of(3)
        padded = np.concatenate([image, np.zeros_like(image[:1])])
        expected = model.run({"image": padded})["logits"][:3]
        assert not np.allclose(model.run({"image": padded[[0, 1, 2, 2]]})["logits"][:3], expected)  # a row is felt
        model.run({"image": np.full_like(padded, 100)})
        np.testing.assert_array_equal(model.run({"image": image})["logits"], expected)


def test_many_threads_get_their_own_answers(model: Model) -> None:
    images = [batch_of(1 + seed % 6, seed) for seed in range(12)]
    expected = [model.run({"image": image})["logits"] for image in images]
    wrong: list[int] = []

    def call(offset: int) -> None:
        for step in range(60):
            i = (offset + step) % len(images)
            if not np.array_equal(model.run({"image": images[i]})["logits"], expected[i]):
                wrong.append(i)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_any_number_of_threads_gives_the_same_answer(tiny: Path) -> None:
    expected: Any = None
    for threads in (1, 2, 1, 3):
        with ovenbird_runtime.load(tiny, threads=threads, workers=2) as model:
            result = model.run({"image": batch_of(9)})["logits"]
        expected = result if expected is None else expected
        np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_threads_start_and_end(tiny: Path) -> None:
    def ours() -> int:
        return sum(thread.name.startswith("ovenbird-worker") for thread in threading.enumerate())

    before = ours()
    model = ovenbird_runtime.load(tiny, threads=2, workers=3)
    assert ours() == before + 3
    model.close()
    model.close()
    assert ours() == before
    with pytest.raises(errors.EngineCallFailed, match="closed"):
        model.run({"image": batch_of(1)})
    forgotten = ovenbird_runtime.load(tiny, threads=1)
    assert ours() == before + 1
    del forgotten
    gc.collect()
    assert ours() == before


def test_a_pool_has_the_size_asked_for(tiny: Path) -> None:
    """Threads are used again after a model closes; one whose pool is small must not serve a model that wants more."""
    code = """
import sys, ovenbird_runtime
from ovenbird_runtime.engine import virtual_machine
prepare, sizes = virtual_machine.MachineRunner._prepare, []
def spy(self, threads):
    functions = prepare(self, threads)
    sizes.append(self._code.ffi.get_global_func("runtime.NumThreads")())
    return functions
virtual_machine.MachineRunner._prepare = spy
for threads in (1, 2, 1, 3):
    ovenbird_runtime.load(sys.argv[1], threads=threads).close()
print(sizes)
"""
    result = python(code, str(tiny))
    assert result.stdout == "[1, 2, 1, 3]\n", result.stderr


def test_closing_ends_every_call(tiny: Path) -> None:
    """Every call that has begun ends, with an answer or with a typed error; none waits for ever."""
    for _ in range(20):
        model = ovenbird_runtime.load(tiny, threads=1, workers=2)
        ended: list[str] = []

        def call(model: Model = model, ended: list[str] = ended) -> None:
            try:
                while True:
                    model.run({"image": batch_of(9)})
            except errors.EngineCallFailed as error:
                ended.append(str(error))

        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        model.close()
        for thread in threads:
            thread.join(timeout=30)
        assert len(ended) == 4
        assert all("closed" in end for end in ended)


@pytest.mark.alone
def test_idle_threads_sleep(model: Model) -> None:
    image = {"image": batch_of(4)}
    model.run(image)
    time.sleep(0.3)
    before = time.process_time()
    model.run(image)
    time.sleep(0.3)
    assert time.process_time() - before < 0.1


@pytest.mark.parametrize(
    ("option", "value"), [("threads", 0), ("threads", 2000), ("threads", 1.5), ("workers", True), ("workers", None)]
)
def test_wrong_options_are_refused(tiny: Path, option: str, value: Any) -> None:
    with pytest.raises(errors.WrongOption, match=option):
        ovenbird_runtime.load(tiny, **{option: value})


def test_what_is_no_library_is_refused(spoilt: Path) -> None:
    (spoilt / "targets/tiny/model.so").write_bytes(b"no library at all")
    reseal(spoilt)
    with pytest.raises(errors.EngineLoadFailed, match=r"model\.so cannot be loaded: 'file too short'"):
        ovenbird_runtime.load(spoilt)


def test_another_library_is_refused(spoilt: Path) -> None:
    import _ctypes

    (spoilt / "targets/tiny/model.so").write_bytes(Path(_ctypes.__file__).read_bytes())
    reseal(spoilt)
    with pytest.raises(errors.EngineLoadFailed):
        ovenbird_runtime.load(spoilt)


TARGETS: list[tuple[Callable[[Target], Target], str]] = [
    (lambda t: replace(t, entries=(Entry("main", 1, (), "main_b9", (0, 1)),)), "cannot be started"),
    (lambda t: replace(t, entries=(Entry("main", 1, (), "main_b1", (0,)),)), "main_b1 failed"),
    (lambda t: replace(t, entries=(Entry("main", 1, (), "main_b1", (1, 0)),)), "main_b1 failed"),
    (lambda t: replace(t, entries=(Entry("main", 2, (), "main_b4", (0, 1)),)), "main_b4 failed"),
    (lambda t: replace(t, tensors=tuple(replace(w, dtype="int32") for w in t.tensors)), "main_b1 failed"),
]


@pytest.mark.parametrize(("change", "words"), TARGETS)
def test_code_and_target_differ(spoilt: Path, change: Callable[[Target], Target], words: str) -> None:
    retarget(spoilt, change)
    with (
        pytest.raises(errors.EngineError, match=words),
        ovenbird_runtime.load(spoilt, threads=1) as model,
    ):
        model.run({"image": batch_of(1)})


LOGITS, EMBEDDING = TensorSpec("logits", "float32", ("N", 5)), TensorSpec("embedding", "float32", ("N", 8))
MANIFESTS: list[tuple[Callable[[Manifest], Manifest], str]] = [
    (lambda m: reprogram(m, outputs=(LOGITS,), postprocess=()), "gave 2 outputs, the manifest says 1"),
    (lambda m: reprogram(m, outputs=(EMBEDDING, LOGITS), postprocess=()), "gave embedding as float32"),
    (lambda m: reprogram(m, outputs=(LOGITS, replace(EMBEDDING, dtype="int32")), postprocess=()), "gave embedding"),
    (lambda m: reprogram(m, inputs=(replace(m.inputs[0], shape=("N", 3, 32, 33)),)), "main_b1 failed"),
    (lambda m: reprogram(m, inputs=(replace(m.inputs[0], dtype="int32"),)), "main_b1 failed"),
    (lambda m: reprogram(m, inputs=(*m.inputs, replace(m.inputs[0], name="more"))), "main_b1 failed"),
]


@pytest.mark.parametrize(("change", "words"), MANIFESTS)
def test_code_and_manifest_differ(spoilt: Path, change: Callable[[Manifest], Manifest], words: str) -> None:
    reseal(spoilt, change)
    with ovenbird_runtime.load(spoilt, threads=1) as model, pytest.raises(errors.EngineCallFailed, match=words):
        model.run({spec.name: np.zeros(spec.with_batch(1), spec.dtype) for spec in model.inputs})


def test_the_worker_survives_a_failure(spoilt: Path) -> None:
    retarget(spoilt, lambda t: replace(t, entries=(t.entries[0], Entry("main", 2, (), "main_b4", (0, 1)))))
    with ovenbird_runtime.load(spoilt, threads=1) as model:
        with pytest.raises(errors.EngineCallFailed):
            model.run({"image": batch_of(2)})
        retry = model.run({"image": batch_of(1)})
        assert retry["logits"].shape == (1, 5)


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = [p for p in sys.path if p]
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_fork_needs_a_load_of_its_own(tiny: Path) -> None:
    code = """
import os, sys, numpy, ovenbird_runtime
x = {"image": numpy.zeros((1, 3, 32, 32), "float32")}
model = ovenbird_runtime.load(sys.argv[1], threads=2)
model.run(x)
child = os.fork()
if not child:
    try:
        model.run(x)
    except ovenbird_runtime.EngineError as error:
        print(type(error).__name__, flush=True)
    ovenbird_runtime.load(sys.argv[1], threads=1).run(x)
    print("loaded again", flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
model.run(x)
"""
    result = python(code, str(tiny))
    assert result.stdout.split("\n")[:3] == ["EngineForked", "loaded again", "0"], result.stderr


def test_exit_without_close_is_quiet(tiny: Path) -> None:
    code = """
import sys, threading, numpy, ovenbird_runtime
model = ovenbird_runtime.load(sys.argv[1], threads=2, workers=2)
x = {"image": numpy.zeros((64, 3, 32, 32), "float32")}
def loop():
    while True:
        model.run(x)
for _ in range(3):
    threading.Thread(target=loop, daemon=True).start()
model.run(x)
"""
    for _ in range(3):
        result = python(code, str(tiny))
        assert (result.returncode, result.stderr) == (0, "")


def test_the_compiler_s_tvm_is_refused(tiny: Path) -> None:
    code = """
import sys, types, ovenbird_runtime
sys.modules["tvm"] = types.ModuleType("tvm")
try:
    ovenbird_runtime.load(sys.argv[1])
except ovenbird_runtime.EngineError as error:
    print(error)
"""
    assert "imported in this process" in python(code, str(tiny)).stdout


def test_torch_stays_out(tiny: Path) -> None:
    code = """
import sys, ovenbird_runtime
ovenbird_runtime.load(sys.argv[1])
print(sorted({"torch", "tvm", "ovenbird"} & set(sys.modules)))
"""
    assert python(code, str(tiny)).stdout.startswith("[]")

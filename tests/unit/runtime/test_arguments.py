"""Numbers, switches and paths of every public function: numpy's and `os.PathLike` as good as Python's own."""

from __future__ import annotations

import decimal
import fractions
import os
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest

import ovenbird_runtime
from ovenbird_runtime import errors, selftest
from ovenbird_runtime.artifact.inspection import inspect_artifact
from ovenbird_runtime.bench import bench
from ovenbird_runtime.copying import copy_artifact
from ovenbird_runtime.model import Model
from ovenbird_runtime.preprocess.images import open_image, open_pixels
from ovenbird_runtime.serve.settings import ModelSource, ServerLimits, Settings
from support.pictures import noise

WHOLE = [2, np.int64(2), np.int8(2), np.uint16(2), np.array(2), np.array([2, 7])[0]]
NOT_WHOLE: list[Any] = [
    True, np.bool_(True), 2.0, np.float32(2), "2", b"2", None, [2], np.array([2]), np.array(2.0),
    decimal.Decimal(2), fractions.Fraction(2), 10**5000, -1, np.int64(-1),
]  # fmt: skip
REAL = [1, 0.5, np.float32(0.5), np.float64(0.5), np.float16(0.5), np.int32(1), fractions.Fraction(1, 2)]
NOT_REAL: list[Any] = [
    True, np.bool_(True), "1", None, [1.0], np.nan, np.float32("nan"), np.inf, -1, 0, 1j, 10**400, np.array([1.0]),
]  # fmt: skip


class Folder:
    """What libraries of cloud paths and temporary folders give."""

    def __init__(self, path: Path, as_bytes: bool = False) -> None:
        self._path = os.fsencode(path) if as_bytes else str(path)

    def __fspath__(self) -> str | bytes:
        return self._path


def paths_of(path: Path) -> list[Any]:
    return [path, str(path), PurePath(path), os.fsencode(path), Folder(path), Folder(path, True), np.str_(path)]


NO_PATHS: list[Any] = [None, 3, True, ["a"], object()]


@pytest.mark.parametrize("value", WHOLE, ids=repr)
def test_whole_numbers_of_any_type_are_taken(model: Model, tiny: Path, value: Any) -> None:
    assert len(model.predict(noise(40, 30), top=value, seed=value)[0].top) == 2
    seed = model.predict(noise(40, 30), seed=value)[0].seed
    assert (seed, type(seed)) == (2, int)
    assert type(bench(model, value, 0.01).batch) is int
    with ovenbird_runtime.load(tiny, threads=value, workers=value) as loaded:
        assert (loaded.threads, type(loaded.threads)) == (2, int)
    settings = Settings((), workers=value, threads=value, port=value, limits=ServerLimits(images=value))
    assert settings == Settings((), workers=2, threads=2, port=2, limits=ServerLimits(images=2))
    assert {type(settings.workers), type(settings.threads), type(settings.limits.images)} == {int}


@pytest.mark.parametrize("value", NOT_WHOLE, ids=lambda value: type(value).__name__)
def test_what_is_no_whole_number(model: Model, tiny: Path, value: Any) -> None:
    with pytest.raises(errors.WrongOption, match=r"top is .*, expected a whole number from 1 to 1000"):
        model.predict(noise(40, 30), top=value)
    with pytest.raises(errors.WrongOption, match=r"batch is .*, expected a whole number from 1 to 4096"):
        bench(model, value, 0.01)
    with pytest.raises(errors.WrongOption, match=r"workers is .*, expected a whole number from 1 to 64"):
        ovenbird_runtime.load(tiny, workers=value)
    with pytest.raises(errors.WrongOption, match=r"workers is .*, expected a whole number"):
        Settings((), workers=value)
    with pytest.raises(errors.WrongOption, match=r"images is .*, expected a whole number"):
        ServerLimits(images=value)
    if value is None:
        return  # the default
    with pytest.raises(errors.WrongOption, match=r"seed is .*, expected a whole number from 0 to 2\*\*63 - 1"):
        model.predict(noise(40, 30), seed=value)
    with pytest.raises(errors.WrongOption, match=r"threads is .*, expected a whole number from 1 to 1024"):
        ovenbird_runtime.load(tiny, threads=value)


@pytest.mark.parametrize("value", REAL, ids=repr)
def test_real_numbers_of_any_type_are_taken(model: Model, value: Any) -> None:
    for call in (open_image, open_pixels):
        assert call(noise(40, 30), value).size == (40, 30)
    assert model.predict(noise(40, 30), max_megapixels=value)
    assert type(ServerLimits(megapixels=value).megapixels) is float
    assert type(Settings((), drain_seconds=value).drain_seconds) is float


@pytest.mark.parametrize("value", NOT_REAL, ids=lambda value: type(value).__name__)
def test_what_is_no_real_number(model: Model, value: Any) -> None:
    for call in (open_image, open_pixels):
        with pytest.raises(errors.WrongOption, match="max_megapixels is "):
            call(noise(40, 30), value)
    with pytest.raises(errors.WrongOption, match="max_megapixels is "):
        model.predict(noise(40, 30), max_megapixels=value)
    with pytest.raises(errors.WrongOption, match="seconds is "):
        bench(model, 1, value)
    if value != 0 or value is None:
        with pytest.raises(errors.WrongOption, match="megapixels is "):
            ServerLimits(megapixels=value)


@pytest.mark.parametrize("value", [True, np.bool_(True), np.bool_(False)])
def test_switches_of_any_type_are_taken(model: Model, value: Any) -> None:
    embedding = model.predict(noise(40, 30), embedding=value)[0].embedding
    assert embedding is not None
    assert (embedding.vector is not None) is bool(value)
    assert Settings((), watch=value).watch is bool(value)


@pytest.mark.parametrize("value", [1, 0, "yes", None, np.int8(1)])
def test_what_is_no_switch(model: Model, value: Any) -> None:
    with pytest.raises(errors.WrongOption, match=r"embedding is .*, expected True or False"):
        model.predict(noise(40, 30), embedding=value)
    with pytest.raises(errors.WrongOption, match="watch is "):
        Settings((), watch=value)


def test_paths_of_any_type_are_taken(tiny: Path, tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    noise(40, 30).save(picture)
    for path in paths_of(tiny):
        ovenbird_runtime.load(path).close()
        assert inspect_artifact(path)["variants"]
        assert selftest.selftest(path).rows == 2
        assert ModelSource(None, path).path == tiny
    for index, path in enumerate(paths_of(tmp_path / "copy")):
        assert copy_artifact(tiny, path).files, index
    for path in paths_of(picture):
        if not isinstance(path, bytes):  # which are a picture, not its name
            assert open_image(path).size == (40, 30)


@pytest.mark.parametrize("value", NO_PATHS, ids=lambda value: type(value).__name__)
def test_what_is_no_path(tiny: Path, value: Any) -> None:
    for call in (ovenbird_runtime.load, inspect_artifact, selftest.selftest):
        with pytest.raises(errors.WrongOption, match=r"path is .*, expected a path"):
            call(value)
    with pytest.raises(errors.WrongOption, match=r"output is .*, expected a path"):
        copy_artifact(tiny, value)
    with pytest.raises(errors.WrongOption, match=r"path is .*, expected a path"):
        ModelSource(None, value)
    if value is not None:
        with pytest.raises(errors.WrongOption, match=r"public_key is .*, expected a path"):
            ovenbird_runtime.load(tiny, public_key=value)


@pytest.mark.parametrize("value", [3, ["imagenet"], {}, b"imagenet", np.array(["imagenet"])], ids=repr)
def test_what_is_no_name(model: Model, tiny: Path, value: Any) -> None:
    with pytest.raises(errors.PipelineError, match=r"pre-processing .* is unknown"):
        model.predict(noise(40, 30), preprocess=value)
    with pytest.raises(errors.WrongOption, match="nan is "):
        model.run({"image": np.zeros((1, 3, 32, 32), np.float32)}, nan=value)
    with pytest.raises(errors.WrongOption, match="target is "):
        ovenbird_runtime.load(tiny, target=value)
    with pytest.raises(errors.DeviceUnavailable, match=r"device .* is unknown"):
        ovenbird_runtime.load(tiny, device=value)

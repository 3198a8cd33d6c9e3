"""Any numpy array a caller can make is computed on rightly, or refused by a typed error; none crashes the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ovenbird_runtime import errors
from ovenbird_runtime.engine.inputs import check_inputs
from ovenbird_runtime.manifest.manifest import TensorSpec
from ovenbird_runtime.model import Model
from ovenbird_runtime.tensors.arrays import aligned_empty

Array = np.ndarray[Any, Any]
SHAPE = (3, 3, 32, 32)


@pytest.fixture(scope="module")
def image() -> Array:
    return np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)


class Subclass(np.ndarray):  # type: ignore[type-arg]
    """An ndarray in all but name."""


class Exporter:
    """Something that only knows how to become an array."""

    def __init__(self, array: Array) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self._array


def misaligned(array: Array, offset: int) -> Array:
    raw = np.zeros(array.nbytes + 64, np.uint8)
    view = raw[offset : offset + array.nbytes].view(array.dtype) if offset % 4 == 0 else None
    if view is None:
        view = np.ndarray(array.shape, array.dtype, raw.data, offset)
    view = view.reshape(array.shape)
    view[...] = array
    return view


def read_only(array: Array) -> Array:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


SAME: dict[str, Callable[[Array], Any]] = {
    "as it is": lambda a: a,
    "Fortran order": np.asfortranarray,
    "negative strides": lambda a: a[::-1, :, ::-1].copy()[::-1, :, ::-1],
    "every second column": lambda a: np.repeat(a, 2, axis=3)[..., ::2],
    "broadcast": lambda a: np.broadcast_to(a[:1], SHAPE),
    "big-endian": lambda a: a.astype(">f4"),
    "big-endian float64": lambda a: a.astype(">f8"),
    "float64": lambda a: a.astype(np.float64),
    "longdouble": lambda a: a.astype(np.longdouble),
    "read-only": read_only,
    "subclass": lambda a: a.view(Subclass),
    "masked, nothing masked": np.ma.asarray,
    "one byte off": lambda a: misaligned(a, 1),
    "four bytes off": lambda a: misaligned(a, 4),
    "not a multiple of 64": lambda a: misaligned(a, 20),
    "from bytes": lambda a: np.frombuffer(a.tobytes(), np.float32).reshape(SHAPE),
    "nested lists": lambda a: a.tolist(),
    "array protocol": Exporter,
    "object with __array_interface__": lambda a: type("X", (), {"__array_interface__": a.__array_interface__})(),
}


@pytest.mark.parametrize("name", SAME)
def test_every_layout_gives_the_same_answer(model: Model, image: Array, name: str) -> None:
    given = SAME[name](image)
    expected = model.run({"image": np.ascontiguousarray(np.asarray(given), np.float32)})
    result = model.run({"image": given})
    for output in expected:
        np.testing.assert_array_equal(result[output], expected[output])


def test_float16_is_converted(model: Model, image: Array) -> None:
    half = image.astype(np.float16)
    expected = model.run({"image": half.astype(np.float32)})["logits"]
    np.testing.assert_array_equal(model.run({"image": half})["logits"], expected)


def test_a_memory_map_is_read(model: Model, image: Array, tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", image)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(model.run({"image": mapped})["logits"], model.run({"image": image})["logits"])


WRONG: dict[str, tuple[Callable[[Array], Any], type[errors.InputError]]] = {
    "0-d": (lambda a: np.float32(1), errors.WrongShape),
    "zero rows": (lambda a: a[:0], errors.WrongShape),
    "zero columns": (lambda a: a[..., :0], errors.WrongShape),
    "no batch": (lambda a: a[0], errors.WrongShape),
    "one dimension more": (lambda a: a[None], errors.WrongShape),
    "channels last": (lambda a: a.transpose(0, 2, 3, 1), errors.WrongShape),
    "64 dimensions": (lambda a: np.zeros((1,) * 32, np.float32), errors.WrongShape),
    "uint8": (lambda a: a.astype(np.uint8), errors.WrongDtype),
    "int64": (lambda a: a.astype(np.int64), errors.WrongDtype),
    "bool": (lambda a: a > 0, errors.WrongDtype),
    "complex": (lambda a: a.astype(np.complex64), errors.WrongDtype),
    "object": (lambda a: a.astype(object), errors.WrongDtype),
    "objects that are no numbers": (lambda a: np.full(SHAPE, None), errors.WrongDtype),
    "text": (lambda a: a.astype(str), errors.WrongDtype),
    "bytes": (lambda a: np.full(SHAPE, b"x"), errors.WrongDtype),
    "void": (lambda a: np.zeros(SHAPE, "V4"), errors.WrongDtype),
    "dates": (lambda a: np.zeros(SHAPE, "M8[s]"), errors.WrongDtype),
    "records": (lambda a: np.zeros(SHAPE, [("x", "f4")]), errors.WrongDtype),
    "masked": (lambda a: np.ma.masked_less(a, 0), errors.WrongDtype),
    "ragged": (lambda a: [[1.0], [1.0, 2.0]], errors.WrongDtype),
    "None": (lambda a: None, errors.WrongDtype),
    "a string": (lambda a: "image", errors.WrongDtype),
    "NaN": (lambda a: np.where(a > 2, np.nan, a), errors.NotFinite),
    "infinity": (lambda a: np.where(a > 2, -np.inf, a), errors.NotFinite),
    "both infinities": (lambda a: np.where(abs(a) > 2, np.copysign(np.inf, a), a), errors.NotFinite),
    "too large for float32": (lambda a: np.full(SHAPE, 1e300), errors.NotFinite),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_refused(model: Model, image: Array, name: str) -> None:
    make, kind = WRONG[name]
    with pytest.raises(kind, match="image"):
        model.run({"image": make(image)})


def test_an_object_that_raises_is_refused(model: Model) -> None:
    class Hostile:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
            raise ZeroDivisionError("no array today")

    with pytest.raises(errors.WrongDtype, match="no array today"):
        model.run({"image": Hostile()})


def test_large_finite_values_are_no_infinity(model: Model) -> None:
    large = np.full(SHAPE, 3e38, np.float32)  # their sum overflows, they do not
    assert model.run({"image": large * np.float32(0.5)})["logits"].shape == (3, 5)


def test_nan_is_taken_where_it_is_allowed(model: Model, image: Array) -> None:
    spoilt = image.copy()
    spoilt[1, 0, 5, 5] = np.nan
    result = model.run({"image": spoilt}, nan="allow")["logits"]
    assert result.shape == (3, 5)  # what a NaN becomes is the network's business: this one's ReLU swallows it
    np.testing.assert_array_equal(result[[0, 2]], model.run({"image": image[[0, 2]]})["logits"])


def test_nan_policy_is_checked(model: Model, image: Array) -> None:
    with pytest.raises(errors.WrongOption, match='expected "refuse" or "allow"'):
        model.run({"image": image}, nan="maybe")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "lacks 'image'"),
        ({"picture": 1}, "lacks 'image'"),
        ({"image": 1, "other": 2}, "has 'other'"),
        ({"image": 1, 3: 2}, "has 3"),
        ([1], "inputs are a list"),
        (None, "inputs are a NoneType"),
    ],
)
def test_wrong_names_are_refused(model: Model, inputs: Any, words: str) -> None:
    with pytest.raises(errors.WrongInputNames, match=words):
        model.run(inputs)


def test_results_belong_to_the_caller(model: Model, image: Array) -> None:
    first = model.run({"image": image})
    kept = {name: array.copy() for name, array in first.items()}
    model.run({"image": -image})
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])
        array[...] = 0  # writeable


INTEGERS = TensorSpec("ids", "int32", ("N", 2))


def test_integers_must_fit() -> None:
    _, arrays = check_inputs([INTEGERS], {"ids": np.array([[1, 2**31 - 1]], np.int64)})
    assert arrays["ids"].dtype == np.int32
    _, arrays = check_inputs([INTEGERS], {"ids": np.array([[1, 2]], np.uint8)})
    assert arrays["ids"].dtype == np.int32
    with pytest.raises(errors.WrongDtype, match="beyond int32"):
        check_inputs([INTEGERS], {"ids": np.array([[1, 2**31]], np.int64)})
    with pytest.raises(errors.WrongDtype, match="the network takes int32"):
        check_inputs([INTEGERS], {"ids": np.array([[1.0, 2.0]])})


def test_batches_must_agree() -> None:
    specs = [INTEGERS, TensorSpec("mask", "bool", ("N",)), TensorSpec("scale", "float32", ())]
    good = {"ids": np.zeros((3, 2), np.int32), "mask": np.ones(3, bool), "scale": np.float32(1)}
    assert check_inputs(specs, good)[0] == 3
    with pytest.raises(errors.WrongShape, match="different batch sizes: 2, 3"):
        check_inputs(specs, good | {"mask": np.ones(2, bool)})


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7, 3), (1, 3, 224, 224)])
@pytest.mark.parametrize("dtype", ["float32", "uint8", "float64"])
def test_memory_is_aligned(shape: tuple[int, ...], dtype: str) -> None:
    arrays = [aligned_empty(shape, dtype) for _ in range(20)]
    for array in arrays:
        assert array.shape == shape
        assert array.dtype == dtype
        assert array.size == 0 or array.ctypes.data % 64 == 0
        assert array.flags.c_contiguous
        assert array.flags.writeable

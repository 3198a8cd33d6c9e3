"""Load an artifact and use it.

model = load("artifacts/resnet50", threads=2)
model.inputs                                     # (TensorSpec("image", "float32", ("N", 3, 224, 224), "NCHW"),)
model.run({"image": batch})["logits"]            # arrays of the caller's own
model.predict(["a.jpg", "b.png"], top=5)         # a dict an image, as `ovenbird-rt run --json` prints it
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import _binding
from .errors import NativeError

File = str | os.PathLike[str] | bytes
"""An image file, JPEG or PNG: its path, or its bytes."""
_OPEN = {-1: "N", -2: "H", -3: "W", -4: "?"}


@dataclass(frozen=True)
class TensorSpec:
    """An input or an output: its name, numpy's name of its dtype, its shape, where "N" is any batch, "H" and "W" the
    images' height and width, and "?" what follows from those; its layout, as "NCHW".
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    layout: str


class Model:
    """A loaded artifact with a session: memory for one call, and threads.

    Calls from several threads follow one another; load a second model for calls that are to run at the same time. The
    GIL is released while a call runs.
    """

    def __init__(self, artifact: _binding.Artifact, threads: int) -> None:
        """Made by `load`."""
        self._artifact = artifact
        self._session = _binding.Session(artifact, threads)
        self.threads: int = self._session.threads
        self.name: str = artifact.model
        self.target: str = artifact.target
        self.programs: tuple[str, ...] = tuple(artifact.programs)

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs of the only program. Raises NativeError, UnknownProgram, where there are several."""
        return self.inputs_of(None)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs of the only program. Raises as `inputs` does."""
        return self.outputs_of(None)

    def inputs_of(self, program: str | None) -> tuple[TensorSpec, ...]:
        """Return a program's inputs. Raises NativeError, UnknownProgram."""
        return _specs(self._artifact.inputs(program))

    def outputs_of(self, program: str | None) -> tuple[TensorSpec, ...]:
        """Return a program's outputs. Raises NativeError, UnknownProgram."""
        return _specs(self._artifact.outputs(program))

    def labels(self, output: str, program: str | None = None) -> tuple[str, ...]:
        """Return the labels of an output, none where it has none."""
        return tuple(self._artifact.labels(program, output))

    def run(
        self, inputs: Mapping[str, Any], *, program: str | None = None, allow_nan: bool = False
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Run a program, the only one unless it is named, on named arrays of one batch size N >= 1; return its outputs.

        An array of the network's dtype that is contiguous and lies at a multiple of 64 bytes is read in place; any
        other is copied, and converted within its kind. Raises NativeError.
        """
        if not isinstance(inputs, Mapping):
            raise NativeError("WrongInputNames", f"inputs are a {type(inputs).__name__}, expected names and arrays")
        arrays = {name: _plain(name, value) for name, value in inputs.items()}
        return self._session.run(arrays, program, allow_nan)

    def predict(self, images: File | Sequence[File], **options: Any) -> list[dict[str, Any]]:
        """Decode and pre-process image files, run the network, and return what it says of each, in order.

        Options: `preprocess`, `top`, `seed`, `embedding`, `image_size` (height, width), `max_megapixels`, of boxes
        `score`, `iou`, `max_boxes`, `agnostic`, `classes`, and of models that write text `prompt`, `max_tokens`,
        `beams`. Raises NativeError, TypeError for an unknown option.
        """
        return self._session.predict(_files(images), _options(options))

    def preprocess(self, image: File, **options: Any) -> dict[str, np.ndarray[Any, Any]]:
        """Return what a pipeline makes of an image: the program's input by its name, for a batch of 1. Options and
        errors are those of `predict`.
        """
        return _binding.preprocess(self._artifact, _files(image), _options(options))

    def __repr__(self) -> str:
        """Name the model, its target and its threads."""
        return f"<ovenbird_native.Model {self.name} for {self.target}, {self.threads} threads>"


def load(
    path: str | os.PathLike[str],
    threads: int = 0,
    *,
    public_key: str | os.PathLike[str] | None = None,
    target: str | None = None,
    precision: str | None = None,
) -> Model:
    """Load the artifact in folder `path`; every file that is used is checked before its code is loaded.

    `threads` 0 means the processors that this process really has. `public_key` is a PEM file of Ed25519 keys, one of
    which must have signed (default: $OVENBIRD_REQUIRE_SIGNATURE). `target` and `precision` choose among the artifact's
    variants. Raises NativeError.
    """
    key = None if public_key is None else os.fsencode(public_key)
    return Model(_binding.Artifact(os.fsencode(path), key, target, precision, {}), threads)


def _specs(found: list[tuple[str, str, tuple[int, ...], str]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, dtype, tuple(_OPEN.get(dim, dim) for dim in shape), layout)
        for name, dtype, shape, layout in found
    )


def _plain(name: str, value: Any) -> np.ndarray[Any, Any]:
    """Return an array as C has it: contiguous, of this machine's byte order, of numbers. Raises NativeError."""
    array = np.asarray(value, order="C")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind not in "fiub":
        raise NativeError("WrongDtype", f"{name} is {array.dtype}: convert it to the network's dtype")
    return array


def _files(images: File | Sequence[File]) -> list[tuple[bool, bytes]]:
    several = [images] if isinstance(images, (str, bytes, os.PathLike)) else list(images)
    return [(False, one) if isinstance(one, bytes) else (True, os.fsencode(one)) for one in several]


_KNOWN = {"preprocess": str, "top": int, "seed": int, "embedding": int, "score": float, "iou": float, "max_boxes": int}
_KNOWN |= {"agnostic": int, "max_megapixels": float, "prompt": str, "max_tokens": int, "beams": int}


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options as the C interface has them. Raises TypeError."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name == "classes":
            found["classes"] = [str(one) for one in ([value] if isinstance(value, (str, int)) else value)]
        elif name == "image_size":
            height, width = (value, value) if isinstance(value, int) else value
            found |= {"image_height": height, "image_width": width}
        elif name in _KNOWN:
            found[name] = _KNOWN[name](value)
        else:
            raise TypeError(f"predict has no option {name!r}")
    return found

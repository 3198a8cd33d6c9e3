"""An ONNX file as a `Source`: imported at each batch size its first dimension leaves open, checked against ONNX itself.

    source = OnnxSource.read(Path("net.onnx"), {})
    source.input_names, source.batched

The reference is ONNX Runtime where it is installed and knows the model's operators, else the (slow) evaluator of the
onnx package.
"""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ovenbird.errors import ExtraMissing, NetworkError, NetworkUnreadable, UsageError
from ovenbird.limits import MAX_NETWORK_ELEMENTS
from ovenbird.networks.image_shapes import image_shape, resized_shapes
from ovenbird.networks.import_errors import import_error, reason
from ovenbird.networks.network import ArrayForm
from ovenbird.networks.onnx.dtypes import element_dtype, passed
from ovenbird.networks.onnx.files.external_data import read_external_data
from ovenbird.networks.onnx.files.versions import updated
from ovenbird.networks.onnx.parameters import check_parameters
from ovenbird.networks.onnx.reference import RUNTIME, OnnxReference
from ovenbird.networks.onnx.refusals import MICROSOFT
from ovenbird_runtime.manifest.program import InputSize
from ovenbird_runtime.tensors.arrays import Array

if TYPE_CHECKING:
    import tvm

Dims = tuple[int | str, ...]
EXAMPLE_SEED = 0
FIRST_NORM = 17
"""The operator set that has `LayerNormalization` first."""


@dataclass
class OnnxSource:
    """One ONNX model; `dims` holds each input's shape, its batch written "N"."""

    model: Any
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    dims: tuple[Dims, ...]
    dtypes: tuple[np.dtype[Any], ...]
    one_row: bool = False

    @property
    def framework(self) -> str:
        """What the reference answers come from."""
        return self._reference.name

    @property
    def batched(self) -> bool:
        """Whether an input's first dimension is open."""
        return any(dims[:1] == ("N",) for dims in self.dims)

    @property
    def metadata(self) -> dict[str, str]:
        """What its exporter says about it, by key."""
        return {entry.key: entry.value for entry in self.model.metadata_props}

    @staticmethod
    def read(path: Path, shapes: Mapping[str, tuple[int, ...]], size: tuple[int, int] | None = None) -> OnnxSource:
        """Read a file; `shapes` settles what it leaves open, `size` the height and width of its one image.

        Raises NetworkUnreadable, NetworkUnsafe, UsageError, ExtraMissing.
        """
        onnx = import_onnx()
        if not path.is_file():
            raise NetworkUnreadable(f"{path}: no file there")
        try:
            model = onnx.load(str(path), load_external_data=False)
            read_external_data(model, path.parent)
            model = updated(model)
            give_shapes(model.graph, shapes)
            check_model(model)
        except (NetworkError, UsageError) as error:
            raise type(error)(f"{path}: {error}") from None
        except Exception as error:  # noqa: BLE001 - protobuf's, onnx's and the operating system's
            raise NetworkUnreadable(f"{path}: not an ONNX model: {complaint(error)}") from None
        weights = {tensor.name for tensor in model.graph.initializer}
        inputs = [value for value in model.graph.input if value.name not in weights]
        names = tuple(value.name for value in inputs)
        if size is not None:
            stated = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in inputs}
            shapes = {**image_shape(stated, size), **shapes}
        if not names:
            raise NetworkUnreadable(f"{path}: the model has no inputs")
        for value in inputs:
            if not value.type.HasField("tensor_type"):
                raise NetworkUnreadable(f"{path}: the input {value.name} is no tensor; give it as tensors, one each")
        check_parameters(model.graph, set(names))
        unknown = sorted(set(shapes) - set(names))
        if unknown:
            raise UsageError(f"--input-shapes: no input {unknown[0]!r}, the network has {', '.join(names)}")
        return OnnxSource(
            model,
            names,
            tuple(value.name for value in model.graph.output),
            tuple(settled(value, shapes.get(value.name)) for value in inputs),
            tuple(passed(element_dtype(value.type.tensor_type.elem_type)) for value in inputs),
        )

    def relax(self, batch: int | None) -> tvm.IRModule:
        """Import the model with `batch` rows. Raises UnsupportedOperator, ImportFailed."""
        from ovenbird.networks.onnx.importing import import_model
        from ovenbird.passes.bound_indices import bound_indices

        shapes = {name: self._shape(index, batch or 1) for index, name in enumerate(self.input_names)}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return bound_indices(import_model(self.model, shapes))
        except NetworkError:
            raise
        except Exception as error:
            raise import_error(error) from error

    def _shape(self, index: int, batch: int) -> tuple[int, ...]:
        return tuple(batch if dim == "N" else int(dim) for dim in self.dims[index])

    def reference(self, inputs: list[Array]) -> list[Array]:
        """Run the model by ONNX Runtime, on one thread, or by the onnx package. Raises NetworkUnreadable."""
        return self._reference.run(dict(zip(self.input_names, inputs, strict=True)))

    @property
    def concurrent(self) -> bool:
        """Whether threads may run the model at once: those of ONNX Runtime may."""
        return self._reference.name == RUNTIME

    def answer_forms(self) -> list[ArrayForm]:
        """Return the shapes and dtypes of the answers to `examples(1)`, which are asked for it."""
        return [(answer.shape, answer.dtype) for answer in self.reference(self.examples(1))]

    def closer(self, inputs: list[Array]) -> None:
        """Say that there is nothing closer: ONNX Runtime computes in the file's own dtypes."""
        return

    @cached_property
    def _reference(self) -> OnnxReference:
        return OnnxReference.of(self.model)

    def examples(self, batch: int) -> list[Array]:
        """Return seeded inputs: standard normal numbers, zeros and ones for whole numbers and booleans."""
        random = np.random.default_rng(EXAMPLE_SEED)
        found: list[Array] = []
        for index, dtype in enumerate(self.dtypes):
            shape = self._shape(index, batch)
            if math.prod(shape) > MAX_NETWORK_ELEMENTS:
                raise NetworkUnreadable(
                    f"input {self.input_names[index]} has {math.prod(shape)} elements, limit {MAX_NETWORK_ELEMENTS}"
                )
            drawn = random.standard_normal(shape) if dtype.kind == "f" else random.integers(0, 2, shape)
            found.append(drawn.astype(dtype))
        return found

    def opened(self) -> OnnxSource:
        """Return the model without the batch that its inputs, outputs and values fix at 1."""
        model = type(self.model)()
        model.CopyFrom(self.model)
        for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
            shape = value.type.tensor_type.shape.dim
            if shape and shape[0].dim_value == 1:
                shape[0].dim_param = "N"
        dims: tuple[Dims, ...] = tuple(("N", *dims[1:]) if dims[:1] == (1,) else dims for dims in self.dims)
        return replace(self, model=model, dims=dims)

    def with_true_batch(self) -> OnnxSource:
        """Return the model with its batch fixed at 1 where it is open in name only: two rows fail, or give one.

        Exporters write such files: the dimension is named, and a reshape within holds the number of the example.
        """
        closed = replace(self, dims=tuple((1, *dims[1:]) if dims[:1] == ("N",) else dims for dims in self.dims))
        if not self.batched or not all(array.shape[:1] == (1,) for array in self.reference(self.examples(1))):
            return self
        try:
            pair = self.reference(self.examples(2))
        except NetworkUnreadable:
            return closed
        return self if all(array.shape[:1] == (2,) for array in pair) else closed

    def resized(self, size: InputSize) -> OnnxSource:
        """Return the model for images of another size. Raises UsageError where it does not leave that open."""
        shapes = resized_shapes([self._shape(index, 1) for index in range(len(self.dims))], size)
        values = {value.name: value for value in self.model.graph.input}
        found = zip(self.input_names, self.dims, shapes, strict=True)
        return replace(
            self,
            dims=tuple(dims if shape is None else settled(values[name], shape) for name, dims, shape in found),
        )

    def digest(self) -> str:
        """Return the sha256 of the model, weights included."""
        return hashlib.sha256(self.model.SerializeToString(deterministic=True)).hexdigest()


def settled(value: Any, given: tuple[int, ...] | None) -> Dims:
    """Return an input's shape. An open first dimension is the batch, any other must be given. Raises UsageError."""
    dims: list[int | str] = []
    for index, dim in enumerate(value.type.tensor_type.shape.dim):
        fixed = dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        if given is not None and index < len(given) and given[index] < 1:
            raise UsageError(f"--input-shapes: {value.name}:{list(given)} has no elements")
        if given is not None and (index >= len(given) or fixed not in (None, given[index])):
            raise UsageError(f"--input-shapes: {value.name}:{list(given)} does not fit the model's {shape_text(value)}")
        if index == 0 and fixed is None:
            dims.append("N")
        elif fixed is None and given is None:
            raise UsageError(
                f"input {value.name} has open dimensions {shape_text(value)}; settle them: "
                f'--input-shapes "{value.name}:[1,...]"'
            )
        else:
            dims.append(given[index] if given is not None else dim.dim_value)
    if given is not None and len(given) != len(dims):
        raise UsageError(f"--input-shapes: {value.name}:{list(given)} does not fit the model's {shape_text(value)}")
    return tuple(dims)


def shape_text(value: Any) -> str:
    """Return an input's shape as the model states it, `[batch, 3, height, width]`."""
    dims = value.type.tensor_type.shape.dim
    return "[" + ", ".join(str(dim.dim_value or dim.dim_param or "?") for dim in dims) + "]"


def give_shapes(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Write the shapes given into inputs that have none, not even a rank. Raises UsageError."""
    weights = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if not value.type.HasField("tensor_type") or value.type.tensor_type.HasField("shape") or value.name in weights:
            continue
        if value.name not in shapes:
            raise UsageError(f'input {value.name} has no shape; give it: --input-shapes "{value.name}:[1,...]"')
        for extent in shapes[value.name]:
            value.type.tensor_type.shape.dim.add().dim_value = extent


def check_model(model: Any) -> None:
    """Check the model by ONNX's own checker, but for what is read all the same.

    Outputs without a shape: their shapes follow from the rest. Layer norms of before they were ONNX's, which ONNX
    Runtime's optimiser writes.
    """
    import onnx

    bare = [value for value in model.graph.output if value.type.HasField("tensor_type")]
    bare = [value for value in bare if not value.type.tensor_type.HasField("shape")]
    early = early_norms(model)
    for value in bare:
        value.type.tensor_type.shape.SetInParent()
    for node in early:
        node.domain = MICROSOFT
    try:
        onnx.checker.check_model(model)
    finally:
        for node in early:
            node.domain = ""
        for value in bare:
            value.type.tensor_type.ClearField("shape")


def early_norms(model: Any) -> list[Any]:
    """Return the layer norms of a model that are of an older version than ONNX's first."""
    imports = {each.domain: each.version for each in model.opset_import}
    if imports.get("", FIRST_NORM) >= FIRST_NORM or MICROSOFT not in imports:
        return []
    return [node for node in model.graph.node if node.op_type == "LayerNormalization" and not node.domain]


def complaint(error: Exception) -> str:
    """Return what the checker says in one line, with the node or tensor that it is about."""
    text = str(error)
    about = [line.strip().removeprefix("==> Context: ") for line in text.splitlines() if "==> Context" in line]
    return f"{reason(error)} ({about[0][:200]})" if about else reason(error)


def import_onnx() -> Any:
    """Import the onnx package. Raises ExtraMissing with the command that installs it."""
    try:
        import onnx
    except ImportError:
        raise ExtraMissing("the package onnx is not installed: pip install onnx") from None
    return onnx

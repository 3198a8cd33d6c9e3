"""What a model answers by ONNX itself: by ONNX Runtime where it can, else by the (slow) evaluator of the onnx package.

    reference = OnnxReference.of(model)
    reference.name, reference.run({"x": x})

ONNX Runtime lacks the newest operators and versions, which is no fault of the model; what it refuses for another
reason is one, and is given in its words. A model of half precision answers in float32, as it is compiled.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ovenbird.errors import NetworkUnreadable
from ovenbird.networks.onnx.dtypes import element_dtype, passed
from ovenbird.networks.onnx.sigmoids import exact_sigmoids
from ovenbird.networks.onnx.widening import in_float32
from ovenbird_runtime.tensors.arrays import Array

RUNTIME, EVALUATOR = "onnxruntime", "onnx's reference evaluator"

OLDER_IR = 10
"""A version of ONNX's file format that every ONNX Runtime of today reads; what newer ones add, networks do not use."""

LACKING = re.compile(
    r"not a registered function|No Op registered|NOT_IMPLEMENTED|Could not find an implementation"
    r"|official released onnx opset|Unsupported model IR version",
    re.IGNORECASE,
)
"""ONNX Runtime's words for "this is ONNX, but not for me"."""


@dataclass
class OnnxReference:
    """One of the two, ready to run."""

    name: str
    evaluator: Any
    inputs: Mapping[str, np.dtype[Any]]
    """The dtypes that it takes."""
    outputs: tuple[np.dtype[Any] | None, ...]
    """The dtypes that the network gives; None for what is no tensor."""

    @classmethod
    def of(cls, model: Any) -> OnnxReference:
        """Return what answers for a model. Raises NetworkUnreadable where ONNX Runtime calls the model wrong."""
        wide = in_float32(model)
        tensors = [value for value in wide.graph.input if value.type.HasField("tensor_type")]
        inputs = {value.name: element_dtype(value.type.tensor_type.elem_type) for value in tensors}
        outputs = [
            passed(element_dtype(value.type.tensor_type.elem_type)) if value.type.HasField("tensor_type") else None
            for value in model.graph.output
        ]
        return cls(*_evaluator(wide), inputs, tuple(outputs))

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Return the outputs for these inputs. Raises NetworkUnreadable."""
        try:
            with np.errstate(all="ignore"):
                wide = {name: array.astype(self.inputs[name], copy=False) for name, array in feeds.items()}
                found = self.evaluator.run(None, wide)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's own, and whatever the evaluator raises
            raise NetworkUnreadable(f"{self.name} cannot run the model: {_line(error)}") from None
        return [
            np.asarray(each) if dtype is None else np.asarray(each).astype(dtype, copy=False)
            for each, dtype in zip(found, self.outputs, strict=True)
        ]


def _evaluator(model: Any) -> tuple[str, Any]:
    if importlib.util.find_spec("onnxruntime"):
        for written in (exact_sigmoids(model), model):  # of float64 it lacks what the first is written by
            try:
                return RUNTIME, _session(written)
            except Exception as error:  # noqa: BLE001 - ONNX Runtime's own, which it does not export
                if not LACKING.search(str(error)):
                    raise NetworkUnreadable(f"ONNX Runtime refuses the model: {_line(error)}") from None
    from onnx.reference import ReferenceEvaluator

    try:
        return EVALUATOR, ReferenceEvaluator(model)
    except Exception as error:  # noqa: BLE001 - whatever the evaluator raises
        raise NetworkUnreadable(f"nothing here can evaluate the model: {_line(error)}") from None


def _session(model: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # sums that do not depend on the number of cores
    options.log_severity_level = 4  # what it refuses is reported once, by us
    version = model.ir_version
    try:
        model.ir_version = min(version, OLDER_IR)
        content = model.SerializeToString()
    finally:
        model.ir_version = version
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _line(error: Exception) -> str:
    """Return what is wrong, without ONNX Runtime's code and the place in its sources."""
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"\S*/onnxruntime/\S+ ", "", text)
    return text[:300] or type(error).__name__

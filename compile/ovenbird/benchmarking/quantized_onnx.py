"""The peers' network in eight bits: ONNX Runtime's quantizer writes QDQ into the ONNX file, which OpenVINO reads, too.

    why = quantize_onnx(path, network, inputs)     # "" or why the peers have none

uint8 activations, int8 weights with a scale for each output channel (int8 activations are slower than float32 in ONNX
Runtime), ranges from what `ovenbird compile --precision int8` calibrates on without a data set, and from the inputs
that the engines are compared on.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.backends.table import BACKENDS
from ovenbird.networks.network import Network
from ovenbird.quantize.pictures import find_pictures
from ovenbird.targets import load_target

PICTURES = 16


def quantize_onnx(path: Path, network: Network, inputs: Mapping[str, Any]) -> str:
    """Quantize an ONNX file of fixed shapes where it lies; return why that cannot be done, or nothing."""
    try:
        quantization: Any = importlib.import_module("onnxruntime.quantization")
        shaping: Any = importlib.import_module("onnxruntime.quantization.shape_inference")
    except ImportError as error:
        return f"onnxruntime.quantization cannot be imported ({error}): the peers have no int8 network"
    prepared = path.with_suffix(".prepared.onnx")
    host = load_target("host")
    said = logging.getLogger()
    level = said.level
    said.setLevel(logging.ERROR)  # it warns of every file that it did not prepare itself
    try:
        shaping.quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(path),
            _reader(quantization, _feeds(network, inputs)),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            reduce_range=BACKENDS[host.kind].wants_narrow(host),  # as its documentation has it: else sums saturate
        )
    except Exception as error:  # noqa: BLE001 - whatever the quantizer raises, the peers are left out
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"onnxruntime.quantization cannot quantize it: {first}"
    finally:
        said.setLevel(level)
        prepared.unlink(missing_ok=True)
    return ""


def _feeds(network: Network, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return whole batches: the inputs that engines are compared on, then pictures."""
    feeds = [dict(inputs)]
    for row in find_pictures(network, None).rows[:PICTURES]:
        given = zip(network.inputs, inputs.values(), row, strict=True)
        feeds.append(
            {
                spec.name: np.repeat(one, len(like), axis=0) if spec.batched and len(one) == 1 else one
                for spec, like, one in given
            }
        )
    return feeds


def _reader(quantization: Any, feeds: list[dict[str, Any]]) -> Any:
    """Return the feeds, one after the other, as ONNX Runtime's calibrator asks for them."""
    left = iter(feeds)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, Any] | None:
            return next(left, None)

    return Reader()

"""ONNX Runtime's quantizer: an ONNX file becomes one with QDQ in it, where it lies.

quantize_file(Path("net.onnx"), [{"image": array}], "max", narrow=False)

uint8 activations, int8 weights with a scale for each output channel (int8 activations are slower than float32 in ONNX
Runtime). Nothing of TVM is imported: `ovenbird bench` makes its peers' network so.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.errors import BuildFailed, ExtraMissing

if TYPE_CHECKING:
    from ovenbird.options import RangeMethod

METHODS: dict[RangeMethod, str] = {"max": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}
"""Its names of the ways in which a range follows from what was seen."""
HELD_OUTPUTS = 8
"""Pictures whose intermediate values are held at one time, for the ways that take histograms of them."""


def quantize_file(path: Path, feeds: Sequence[Mapping[str, Any]], method: RangeMethod, narrow: bool) -> None:
    """Quantize an ONNX file where it lies, by inputs by name. Raises ExtraMissing, BuildFailed."""
    try:
        quantization: Any = importlib.import_module("onnxruntime.quantization")
        shaping: Any = importlib.import_module("onnxruntime.quantization.shape_inference")
    except ImportError as error:
        raise ExtraMissing(
            f"onnxruntime.quantization cannot be imported ({error}): pip install onnx onnxruntime"
        ) from None
    prepared = path.with_suffix(".prepared.onnx")
    said = logging.getLogger()
    level = said.level
    said.setLevel(logging.ERROR)  # it warns of every file that it did not prepare itself
    try:
        shaping.quant_pre_process(str(path), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared),
            str(path),
            _reader(quantization, feeds),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            reduce_range=narrow,
            calibrate_method=quantization.CalibrationMethod[METHODS[method]],
            extra_options={"CalibMaxIntermediateOutputs": HELD_OUTPUTS} if method != "max" else None,
        )
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BuildFailed(f"onnxruntime.quantization cannot quantize it: {first}") from error
    finally:
        said.setLevel(level)
        prepared.unlink(missing_ok=True)


def _reader(quantization: Any, feeds: Iterable[Mapping[str, Any]]) -> Any:
    """Return the feeds, one after the other, as ONNX Runtime's calibrator asks for them."""
    left = iter(feeds)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Mapping[str, Any] | None:
            return next(left, None)

    return Reader()

"""Another's quantizer in place of ours: ONNX Runtime's writes QDQ into an ONNX file, which is then compiled as it is.

quantized = quantize_by_onnxruntime(network, keys, CalibrationOptions(quantizer="onnxruntime"), step, narrow=False)
quantize_file(Path("net.onnx"), [{"image": array}], "max", narrow=False)       # where it lies: for the peers

uint8 activations, int8 weights with a scale for each output channel (int8 activations are slower than float32 in ONNX
Runtime). It sees the pictures that ours would.
"""

from __future__ import annotations

import functools
import importlib
import logging
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.errors import BuildFailed, ExtraMissing, UsageError
from ovenbird.networks.any_batch import RowSource
from ovenbird.networks.network import Network
from ovenbird.networks.onnx.exporting import export_onnx
from ovenbird.networks.onnx.source import OnnxSource
from ovenbird.passes.share_constants import share_constants
from ovenbird.progress import Progress
from ovenbird.quantize.imported import coarsest_tensor
from ovenbird.quantize.pictures import Pictures, find_pictures
from ovenbird.quantize.quantizing import Quantized

if TYPE_CHECKING:
    from ovenbird.lowering.entry_key import EntryKey
    from ovenbird.options import CalibrationOptions, RangeMethod

METHODS: dict[RangeMethod, str] = {"max": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}
"""Its names of the ways in which a range follows from what was seen."""
HELD_OUTPUTS = 8
"""Pictures whose intermediate values are held at one time, for the ways that take histograms of them."""
SHOWN = 4
"""Pictures by which the coarsest tensor is found."""


def quantize_by_onnxruntime(
    network: Network, keys: Iterable[EntryKey], options: CalibrationOptions, step: Progress, narrow: bool
) -> Quantized:
    """Quantize a network by ONNX Runtime's quantizer, once for each image size; `narrow`: weights of seven bits.

    Raises UsageError, BuildFailed, NetworkUntraceable, UnsupportedOperator, ExtraMissing.
    """
    method = options.range_method
    if method not in METHODS:
        raise UsageError(f"--calibration-method {method}: ONNX Runtime's quantizer has {', '.join(sorted(METHODS))}")
    keys = list(keys)
    found: dict[EntryKey, Any] = {}
    first: Pictures | None = None
    kept: dict[Any, Any] = {}
    for size in network.image_sizes:
        sized = network.at(size)
        pictures = find_pictures(sized, options.source, options.size)
        first = first or pictures
        step("quantizing by ONNX Runtime")
        source = _quantized_source(sized, pictures, method, narrow)
        for key in (key for key in keys if key.size == size):
            module = source.relax(key.batch if source.batched else None)
            found[key] = share_constants(module, kept) if len(keys) > 1 else module
    assert first is not None
    evidence = {
        "pictures": len(first.rows),
        "from": first.origin,
        "method": method,
        "quantizer": f"onnxruntime {importlib.import_module('onnxruntime').__version__}",
        "narrow_weights": narrow,
        "files": first.files,
        "held_out": [path.name for path in first.held],
        "layers": [],
    }
    smallest = found[min(found, key=lambda key: key.batch)]
    rows = first.rows[:SHOWN] if min(key.batch for key in found) == 1 else []
    return Quantized(found, first.held, evidence, functools.partial(coarsest_tensor, smallest, rows))


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


def _quantized_source(network: Network, pictures: Pictures, method: RangeMethod, narrow: bool) -> OnnxSource:
    """Return the network of one image size as ONNX with levels in it."""
    own = network.source.source if isinstance(network.source, RowSource) else network.source
    names = own.input_names if isinstance(own, OnnxSource) else tuple(spec.name for spec in network.inputs)
    with tempfile.TemporaryDirectory(prefix="ovenbird-") as folder:
        path = Path(folder) / "network.onnx"
        if isinstance(own, OnnxSource):
            path.write_bytes(own.model.SerializeToString())
        else:
            export_onnx(network, path, None)
        quantize_file(path, [dict(zip(names, row, strict=True)) for row in pictures.rows], method, narrow)
        shapes = [array.shape for array in network.source.examples(1)]
        return OnnxSource.read(path, dict(zip(names, shapes, strict=True)))


def _reader(quantization: Any, feeds: Iterable[Mapping[str, Any]]) -> Any:
    """Return the feeds, one after the other, as ONNX Runtime's calibrator asks for them."""
    left = iter(feeds)

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Mapping[str, Any] | None:
            return next(left, None)

    return Reader()

"""Another's quantizer in place of ours: ONNX Runtime's writes QDQ into an ONNX file, which is then compiled as it is.

quantized = quantize_by_onnxruntime(network, keys, CalibrationOptions(quantizer="onnxruntime"), step, narrow=False)

It sees the pictures that ours would.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.errors import UsageError
from ovenbird.networks.any_batch import RowSource
from ovenbird.networks.network import Network
from ovenbird.networks.onnx.files.exporting import export_onnx
from ovenbird.networks.onnx.files.quantizing import METHODS, quantize_file
from ovenbird.networks.onnx.source import OnnxSource
from ovenbird.passes.share_constants import share_constants
from ovenbird.process.progress import Progress
from ovenbird.quantize.calibration.pictures import Pictures, find_pictures
from ovenbird.quantize.evidence import CalibrationEvidence
from ovenbird.quantize.imported import SHOWN, coarsest_tensor
from ovenbird.quantize.quantizing import Quantized

if TYPE_CHECKING:
    from ovenbird.lowering.entry_key import EntryKey
    from ovenbird.options import CalibrationOptions, RangeMethod


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
    shown: list[tuple[OnnxSource, Pictures]] = []
    kept: dict[Any, Any] = {}
    for size in network.image_sizes:
        sized = network.at(size)
        pictures = find_pictures(sized, options.source, options.size)
        step("quantizing by ONNX Runtime")
        source = _quantized_source(sized, pictures, method, narrow)
        shown.append((source, pictures))
        for key in (key for key in keys if key.size == size):
            module = _module(source, key.batch)
            found[key] = share_constants(module, kept) if len(keys) > 1 else module
    source, first = shown[0]
    version = importlib.import_module("onnxruntime").__version__
    evidence = CalibrationEvidence.of(first, method, narrow, f"onnxruntime {version}")
    return Quantized(found, first.held, evidence, lambda: coarsest_tensor(_module(source, 1), first.rows[:SHOWN]))


def _module(source: OnnxSource, batch: int) -> Any:
    return source.relax(batch if source.batched else None)


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

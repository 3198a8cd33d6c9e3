"""The way of a network into whole numbers, for `ovenbird compile --precision int8`.

quantized = quantize_modules(network, modules, CalibrationOptions(Path("photos")), step)
quantized.modules                     # for every batch and image size
quantized.held                        # the photographs to verify on
quantized.evidence                    # what is written into the artifact
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.errors import BuildFailed, UnsupportedOperator, UsageError
from ovenbird.networks.network import Network
from ovenbird.passes.share_constants import share_constants
from ovenbird.process.progress import Progress
from ovenbird.quantize.calibrating import Mixed, Quantizer
from ovenbird.quantize.calibration.pictures import Pictures, find_pictures, held_rows
from ovenbird.quantize.evidence import CalibrationEvidence
from ovenbird.verify.agreeing import score_outputs
from ovenbird.verify.reached import Reached
from ovenbird_runtime.manifest.program import InputSize

if TYPE_CHECKING:
    from tvm import IRModule

    from ovenbird.lowering.entry_key import EntryKey
    from ovenbird.options import CalibrationOptions


@dataclass(frozen=True)
class Quantized:
    """A network's modules in whole numbers, and how they came about."""

    modules: dict[EntryKey, IRModule]
    held: tuple[Path, ...]
    """Photographs that calibration did not see."""
    evidence: CalibrationEvidence
    noisiest: Callable[[], str]
    """Says which layer adds the most noise, and its ratio of signal to noise."""
    reached: Reached | None = None
    """Of a model that writes texts: what its programs are to be verified on."""


def quantize_modules(
    network: Network,
    modules: Mapping[EntryKey, IRModule],
    options: CalibrationOptions,
    step: Progress,
    narrow: bool = False,
    some_bfloat16: bool = False,
) -> Quantized:
    """Calibrate a network and quantize its modules; `narrow`: by weights that processors without VNNI add up faster;
    `some_bfloat16`: layers that stay floats may multiply bfloat16.

    Raises UsageError, BuildFailed, UnsupportedOperator.
    """
    if options.programs:
        raise UsageError(f"--int8-programs: {network.name} has one program")
    free = options.source is None
    mixed = _mixed(network, options, some_bfloat16)
    first: Pictures | None = None
    quantizers: dict[InputSize, Quantizer] = {}
    found: dict[EntryKey, Any] = {}
    kept: dict[Any, Any] = {}
    for size in network.image_sizes:
        own = {key: module for key, module in modules.items() if key.size == size}
        rows = next((key for key in own if key.batch == 1), None)
        quantizer = next(iter(quantizers.values()), None)
        for key, module in own.items():
            whole = None if quantizer is None else quantizer.try_quantize(module)
            if whole is None:  # the first module, or one whose graph depends on its size
                step("choosing calibration pictures")
                pictures = find_pictures(network.at(size), options.source, options.size)
                first = first or pictures
                single = own[rows] if rows is not None else network.at(size).relax(1)
                if mixed is not None and not free:
                    mixed = replace(mixed, held=held_rows(network.at(size), pictures))
                quantizer = Quantizer.calibrated(single, pictures.rows, options.range_method, step, free, mixed, narrow)
                quantizers[size] = quantizer
                whole = quantizer.try_quantize(module)
            if whole is None:
                raise BuildFailed(f"the network is another graph for {key.batch} rows than for one: it has no int8")
            found[key] = share_constants(whole, kept) if len(modules) > 1 else whole
    assert first is not None
    assert quantizer is not None
    if not quantizer.calibration.ranges:
        raise UnsupportedOperator(
            "--precision int8: the network has no convolution and no product of matrices to quantize"
        )
    evidence = replace(
        CalibrationEvidence.of(first, options.range_method, narrow),
        origin=first.origin + (", and what batch norms remember" if quantizer.distilled else ""),
        tensors=len(quantizer.calibration.ranges),
        layers=quantizer.documents(),
        mixture=None if quantizer.mixture is None else quantizer.mixture.document(),
    )
    noisiest = quantizer.noisiest
    return Quantized(found, first.held, evidence, lambda: noisiest)


def _mixed(network: Network, options: CalibrationOptions, some_bfloat16: bool) -> Mixed | None:
    """Return what `--precision auto` holds to, None where all layers are to be quantized. Raises UsageError."""
    if options.mix_below is None:
        return None
    scores = score_outputs(network)
    if not scores:
        raise UsageError(
            "--precision auto weighs layers by the classes that they change, no output holds a score for each class; "
            "give --precision int8, or --answer classes"
        )
    place = [spec.name for spec in network.outputs].index(scores[0])
    return Mixed(options.mix_below, place, some_bfloat16=some_bfloat16)

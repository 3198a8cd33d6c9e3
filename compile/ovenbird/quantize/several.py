"""The way of a model of several programs into whole numbers, each calibrated on what reaches it while texts are made.

    quantized = quantize_several(captioner, modules, CalibrationOptions(Path("photos")), step)
    quantized.modules[EntryKey("step", 4)]
    quantized.reached                     # pictures that calibration did not see, their texts, rows for each program

The programs run in floats, as the runtime's loop calls them: the first on pictures, others on what those before them
gave, the step on the states of a greedy text. Weights that several share are rounded, and so stored, once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ovenbird.errors import BuildFailed, UnsupportedOperator, UsageError
from ovenbird.networks.composite import Composite
from ovenbird.networks.network import Network
from ovenbird.networks.writing import RowAnswer, Scribe
from ovenbird.options import DEFAULT_PICTURES, CalibrationOptions
from ovenbird.passes.share_constants import share_constants
from ovenbird.process.progress import Progress
from ovenbird.quantize.calibrating import Quantizer
from ovenbird.quantize.calibration.pictures import Pictures, find_pictures, held_pictures
from ovenbird.quantize.calibration.ranges import SAMPLES
from ovenbird.quantize.calibration.watching import WatchedNetwork
from ovenbird.quantize.evidence import CalibrationEvidence
from ovenbird.quantize.quantizing import Quantized
from ovenbird.quantize.rounding.together import rounded_weights
from ovenbird.verify.reached import TOKENS, reach
from ovenbird_runtime.tensors.arrays import Arrays

if TYPE_CHECKING:
    from tvm import IRModule

    from ovenbird.lowering.entry_key import EntryKey


def quantize_several(
    model: Composite,
    modules: Mapping[EntryKey, IRModule],
    options: CalibrationOptions,
    step: Progress,
    narrow: bool = False,
    some_bfloat16: bool = False,
) -> Quantized:
    """Calibrate a model and quantize its modules, those of `options.programs` alone where there are any; `narrow`: by
    weights that processors without VNNI add up faster; `some_bfloat16`: programs that stay floats multiply bfloat16.

    Raises UsageError, BuildFailed, UnsupportedOperator.
    """
    names = _programs(model, options)
    assert model.loop is not None
    first = model.programs[model.loop.once[0]]
    step("choosing calibration pictures")
    pictures = find_pictures(first, options.source, options.size)
    quantizers = _calibrated(model, names, modules, pictures, options, step, narrow)
    whole = [name for name in options.programs or names if quantizers[name].calibration.ranges]
    if not whole:
        raise UnsupportedOperator(
            f"--precision int8: {', '.join(options.programs or names)} has no convolution and no product of matrices "
            "to quantize"
        )
    found: dict[EntryKey, Any] = {}
    kept: dict[Any, Any] = {}
    for key, module in modules.items():
        quantizer = quantizers.get(key.program)
        one: IRModule | None = module
        if quantizer is not None:
            one = quantizer.try_quantize(module, None if key.program in whole else some_bfloat16)
        if one is None:
            raise BuildFailed(f"{key.program} is another graph for {key.batch} rows than for one: it has no int8")
        found[key] = share_constants(one, kept)
    step("writing texts to verify on")
    reached = reach(model, held_pictures(first, pictures))
    floats = "bf16" if some_bfloat16 else "f32"
    evidence = replace(
        CalibrationEvidence.of(pictures, options.range_method, narrow),
        tensors=sum(len(quantizers[name].calibration.ranges) for name in whole),
        layers=[{**row, "layer": f"{name}: {row['layer']}"} for name in whole for row in quantizers[name].documents()],
        programs={name: "int8" if name in whole else floats for name in model.programs},
    )
    return Quantized(found, pictures.held, evidence, lambda: _noisiest(quantizers, whole), reached)


def _programs(model: Composite, options: CalibrationOptions) -> list[str]:
    """Return the programs that the loop runs. Raises UsageError."""
    if model.loop is None:
        raise UsageError(f"{model.name} has several programs and no loop that runs them: nothing to calibrate int8 on")
    if options.quantizer != "own":
        raise UsageError(
            f"{model.name} has several programs, which our own quantizer makes int8: leave --quantizer out"
        )
    if options.mix_below is not None:
        raise UsageError(
            f"{model.name} has several programs: give --precision int8 with --int8-programs, not auto, which chooses "
            "among the layers of one"
        )
    names = [*model.loop.once, model.loop.step]
    unknown = [name for name in options.programs if name not in names]
    if unknown:
        raise UsageError(f"--int8-programs {unknown[0]}: {model.name} has {', '.join(names)}")
    return names


def _calibrated(
    model: Composite,
    names: list[str],
    modules: Mapping[EntryKey, IRModule],
    pictures: Pictures,
    options: CalibrationOptions,
    step: Progress,
    narrow: bool,
) -> dict[str, Quantizer]:
    """Write the texts of the pictures and return each program's quantizer."""
    assert model.loop is not None
    watches = {}
    for name in names:
        step(f"compiling {name} to be calibrated")
        calls = len(pictures.rows) * (TOKENS if name == model.loop.step else 1)
        samples = min(SAMPLES, SAMPLES * DEFAULT_PICTURES // calls)
        single = next((module for key, module in modules.items() if (key.program, key.batch) == (name, 1)), None)
        watches[name] = WatchedNetwork(single if single is not None else model.programs[name].relax(1), calls, samples)
    scribe = Scribe(model, {name: _answer(watch, model.programs[name]) for name, watch in watches.items()})
    for done, (picture,) in enumerate(pictures.rows):
        scribe.write(picture, TOKENS)
        step("calibrating", done + 1, len(pictures.rows))
    for watch in watches.values():
        watch.close()
    rounded = rounded_weights([(watch.points, watch.patches) for watch in watches.values()], narrow, step)
    return {
        name: Quantizer.of(watch, weights, options.range_method)
        for (name, watch), weights in zip(watches.items(), rounded, strict=True)
    }


def _answer(watch: WatchedNetwork, network: Network) -> RowAnswer:
    """Return what runs a watched program on named inputs."""

    def answer(inputs: Arrays) -> Arrays:
        arrays = watch.run([inputs[spec.name] for spec in network.inputs])
        return dict(zip((spec.name for spec in network.outputs), arrays, strict=True))

    return answer


def _noisiest(quantizers: Mapping[str, Quantizer], whole: list[str]) -> str:
    """Return the layer with the most noise of all programs in whole numbers."""
    found = [(layer.total_db, name, layer.name) for name in whole for layer in quantizers[name].layers]
    if not found:
        return ""
    ratio, program, layer = min(found)
    return f"{layer} of {program} ({ratio:.1f} dB)"

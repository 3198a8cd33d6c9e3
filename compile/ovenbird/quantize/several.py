"""The way of a model of several programs into whole numbers, each calibrated on what reaches it while texts are made.

    quantized = quantize_several(captioner, modules, CalibrationOptions(Path("photos")), step)
    quantized.modules[EntryKey("step", 4)]
    quantized.reached                     # pictures that calibration did not see, their texts, rows for each program

The programs run in floats, as the runtime's loop calls them: the first on pictures, others on what those before them
gave, the step on the states of a greedy text. Weights that several share are rounded, and so stored, once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ovenbird.errors import BuildFailed, UnsupportedOperator, UsageError
from ovenbird.networks.composite import Composite
from ovenbird.networks.network import Network
from ovenbird.networks.writing import RowAnswer, Scribe
from ovenbird.options import DEFAULT_PICTURES, CalibrationOptions
from ovenbird.passes.share_constants import share_constants
from ovenbird.process.progress import Progress
from ovenbird.quantize.auto.programs import ProgramTrial, choose_programs
from ovenbird.quantize.calibrating import Quantizer
from ovenbird.quantize.calibration.observing import Observer
from ovenbird.quantize.calibration.pictures import Pictures, find_pictures, held_pictures
from ovenbird.quantize.calibration.ranges import SAMPLES
from ovenbird.quantize.calibration.watching import WatchedNetwork
from ovenbird.quantize.evidence import CalibrationEvidence
from ovenbird.quantize.quantizing import Quantized
from ovenbird.quantize.rounding.together import rounded_weights
from ovenbird.verify.reached import TOKENS, reach
from ovenbird.verify.texts import TokenAgreement, agreement_of
from ovenbird_runtime.tensors.arrays import Array, Arrays

if TYPE_CHECKING:
    from tvm import IRModule

    from ovenbird.lowering.entry_key import EntryKey

TRIED = 16
"""Texts, about, that `auto` has written with each choice of programs."""


def quantize_several(
    model: Composite,
    modules: Mapping[EntryKey, IRModule],
    options: CalibrationOptions,
    step: Progress,
    narrow: bool = False,
    some_bfloat16: bool = False,
) -> Quantized:
    """Calibrate a model and quantize its modules: those of `options.programs`, where there are any, and for `auto` as
    many as change few enough tokens. `narrow`: by weights that processors without VNNI add up faster; `some_bfloat16`:
    programs that stay floats multiply bfloat16.

    Raises UsageError, BuildFailed, UnsupportedOperator, VerificationFailed.
    """
    names = _programs(model, options)
    assert model.loop is not None
    first = model.programs[model.loop.once[0]]
    step("choosing calibration pictures")
    pictures = find_pictures(first, options.source, options.size)
    singles = {name: _single(model, modules, name) for name in names}
    quantizers, texts = _calibrated(model, singles, pictures, options, step, narrow)
    whole = [name for name in options.programs or names if quantizers[name].calibration.ranges]
    if not whole:
        raise UnsupportedOperator(
            f"--precision int8: {', '.join(options.programs or names)} has no convolution and no product of matrices "
            "to quantize"
        )
    trials: list[ProgramTrial] = []
    if options.mix_below is not None:
        step("trying programs in whole numbers")
        trial = _trial(model, singles, quantizers, [row[0] for row in pictures.rows], texts)
        chosen, trials = choose_programs(whole, trial, options.mix_below)
        whole = list(chosen)
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
        trials=[one.document() for one in trials],
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
    names = [*model.loop.once, model.loop.step]
    unknown = [name for name in options.programs if name not in names]
    if unknown:
        raise UsageError(f"--int8-programs {unknown[0]}: {model.name} has {', '.join(names)}")
    return names


def _single(model: Composite, modules: Mapping[EntryKey, IRModule], name: str) -> IRModule:
    """Return a program's module of one row."""
    found = next((module for key, module in modules.items() if (key.program, key.batch) == (name, 1)), None)
    return model.programs[name].relax(1) if found is None else found


def _calibrated(
    model: Composite,
    singles: Mapping[str, IRModule],
    pictures: Pictures,
    options: CalibrationOptions,
    step: Progress,
    narrow: bool,
) -> tuple[dict[str, Quantizer], list[tuple[int, ...]]]:
    """Write the texts of the pictures; return each program's quantizer, and the texts."""
    assert model.loop is not None
    watches = {}
    for name, module in singles.items():
        step(f"compiling {name} to be calibrated")
        calls = len(pictures.rows) * (TOKENS if name == model.loop.step else 1)
        samples = min(SAMPLES, SAMPLES * DEFAULT_PICTURES // calls)
        watches[name] = WatchedNetwork(module, calls, samples)
    scribe = Scribe(model, {name: _answer(watch.run, model.programs[name]) for name, watch in watches.items()})
    texts = []
    for done, (picture,) in enumerate(pictures.rows):
        texts.append(scribe.write(picture, TOKENS))
        step("calibrating", done + 1, len(pictures.rows))
    for watch in watches.values():
        watch.close()
    rounded = rounded_weights([(watch.points, watch.patches) for watch in watches.values()], narrow, step)
    found = {
        name: Quantizer.of(watch, weights, options.range_method)
        for (name, watch), weights in zip(watches.items(), rounded, strict=True)
    }
    return found, texts


def _trial(
    model: Composite,
    singles: Mapping[str, IRModule],
    quantizers: Mapping[str, Quantizer],
    pictures: Sequence[Array],
    texts: Sequence[tuple[int, ...]],
) -> Callable[[tuple[str, ...]], TokenAgreement]:
    """Return what writes the texts of some of the pictures with some programs in whole numbers, the others by the
    framework, and compares them with those of floats.
    """
    assert model.loop is not None
    begin, some = len(model.loop.begin), slice(0, None, -(-len(pictures) // TRIED))
    shown, right = pictures[some], texts[some]
    exact: dict[str, RowAnswer] = {name: model.programs[name].reference for name in singles}
    whole: dict[str, RowAnswer] = {}

    def trial(programs: tuple[str, ...]) -> TokenAgreement:
        for name in programs:
            if name not in whole:
                module = quantizers[name].try_quantize(singles[name])
                assert module is not None
                whole[name] = _answer(Observer(module, [], outputs=True).run_one, model.programs[name])
        scribe = Scribe(model, exact | {name: whole[name] for name in programs})
        return agreement_of([scribe.write(picture, TOKENS) for picture in shown], right, begin)

    return trial


def _answer(run: Callable[[Sequence[Array]], list[Array]], network: Network) -> RowAnswer:
    """Return what runs a compiled program on named inputs."""

    def answer(inputs: Arrays) -> Arrays:
        arrays = run([inputs[spec.name] for spec in network.inputs])
        return dict(zip((spec.name for spec in network.outputs), arrays, strict=True))

    return answer


def _noisiest(quantizers: Mapping[str, Quantizer], whole: list[str]) -> str:
    """Return the layer with the most noise of all programs in whole numbers."""
    found = [(layer.total_db, name, layer.name) for name in whole for layer in quantizers[name].layers]
    if not found:
        return ""
    ratio, program, layer = min(found)
    return f"{layer} of {program} ({ratio:.1f} dB)"

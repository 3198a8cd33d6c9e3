"""How an artifact is described on a terminal; `inspect` and `compile` share it.

click.echo(describe(manifest, {"host": target}))
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ovenbird_runtime.errors import one_line
from ovenbird_runtime.manifest.manifest import MAIN, Manifest, Program, ProgramParity, Target, TensorSpec
from ovenbird_runtime.manifest.program import sizes_text

if TYPE_CHECKING:
    from ovenbird.registry.transferring import Transferred


def random_warning(manifest: Manifest) -> str:
    """Return the line that every output of a network with random weights begins with; nothing for a trained one."""
    if not manifest.model.weights.random:
        return ""
    model = manifest.model
    return f"RANDOM WEIGHTS (seed {model.weights.seed}): {model.name} knows nothing, its answers mean nothing"


def transferred(done: Transferred, verb: str, reference: str, as_json: bool) -> str:
    """Return what was pushed or pulled, as a line or as JSON."""
    if as_json:
        return json.dumps(dataclasses.asdict(done), indent=2)
    sent = "" if done.moved == done.bytes else f", of which {done.moved / 1e6:.1f} MB were new"
    signed = f", signed by {done.signed_by}" if done.signed_by else ""
    return (
        f"{reference}: {verb} {done.model}, {done.files} files, {done.bytes / 1e6:.1f} MB{sent}{signed}\n{done.digest}"
    )


def blind_warning(outputs: Sequence[str], framework: str) -> str:
    """Return the line about outputs that verification can say little of."""
    return (
        f"SAME FOR ALL INPUTS: {', '.join(outputs)}. {framework} itself answers every input alike, so that a fault "
        "would hardly show"
    )


def tensor_line(spec: TensorSpec) -> str:
    """Return `image float32 [N, 3, 224, 224] NCHW`."""
    return f"{spec.name} {spec.dtype} [{', '.join(map(str, spec.shape))}] {spec.layout}".rstrip()


def describe(manifest: Manifest, targets: Mapping[str, Target]) -> str:
    """Return an artifact's description, several lines; what a stranger wrote into it cannot drive a terminal."""
    return "\n".join(map(one_line, _lines(manifest, targets)))


def _lines(manifest: Manifest, targets: Mapping[str, Target]) -> Iterator[str]:
    warning = random_warning(manifest)
    if warning:
        yield warning
    model, parity = manifest.model, manifest.parity
    yield f"model      {model.name}, version {model.version}, source {model.source_digest[:12]}"
    yield f"weights    {model.weights.origin}: {model.weights.detail}"
    yield f"licence    {model.licence}"
    for name, program in manifest.programs.items():
        if len(manifest.programs) > 1:
            yield f"program    {name}"
        yield from _program_lines(program)
    if parity is None:
        yield "parity     not verified: no target of it runs on the machine that compiled it"
    else:
        for found in parity.programs.values():
            yield from _parity_lines(found)
        yield f"           on {parity.images} photographs and {parity.random_inputs} random inputs"
    for name, target in targets.items():
        batches = ", ".join(
            dict.fromkeys(
                ("" if entry.program == MAIN else f"{entry.program} ") + str(entry.batch) for entry in target.entries
            )
        )
        megabytes = sum(tensor.nbytes for tensor in target.tensors) / 1e6
        yield f"target     {name}: {target.triple}, glibc {target.glibc}, {target.vector_bits}-bit vectors"
        yield f"           batch sizes {batches}; {len(target.tensors)} tensors, {megabytes:.1f} MB"
        yield f"           needs {' '.join(target.cpu_features) or 'nothing beyond its architecture'}"
        counts = manifest.tuning.get(name, manifest.tuning.get(target.target))
        if isinstance(counts, dict):
            yield f"           {counts.get('tuned', 0)} layers tuned, {counts.get('default', 0)} by default schedules"
            seen = counts.get("calibration")
            if isinstance(seen, dict):
                pictures = f"{seen.get('pictures')} pictures, {seen.get('from')}"
                yield f"           calibrated on {pictures}, by {seen.get('method')}"
                programs = seen.get("programs")
                if isinstance(programs, dict):
                    yield f"           {', '.join(f'{program} in {one}' for program, one in programs.items())}"
    total = sum(record.size for record in manifest.files.values())
    yield f"files      {len(manifest.files)}, {total / 1e6:.1f} MB"


def _program_lines(program: Program) -> Iterator[str]:
    if program.sizes:
        yield f"sizes      {sizes_text(program.image_sizes)} (height x width)"
    for spec in program.inputs:
        yield f"input      {tensor_line(spec)}"
    steps = {name: step.step for step in program.postprocess for name in step.read}
    for spec in program.outputs:
        yield f"output     {tensor_line(spec)} ({steps.get(spec.name, 'raw')})"
    for name in program.preprocess.pipelines:
        yield f"preprocess {name}{' (default)' if name == program.preprocess.default else ''}"


def _parity_lines(parity: ProgramParity) -> Iterator[str]:
    errors = ", ".join(f"{name} {error:.1e}" for name, error in parity.max_abs_error.items())
    top1 = "" if parity.top1_agreement is None else f", top-1 agreement {parity.top1_agreement:.0%}"
    yield f"parity     max error {errors}, tolerance {parity.tolerance:g}{top1}"
    for name, held in parity.variants.items():
        shares = ", ".join(f"{output} {found.rms:.1e}" for output, found in held.outputs.items())
        what = f"error over spread {shares}" if shares else "not run where it was compiled"
        yield f"           {name}, {held.precision}: {what}, limit {held.limits.rms:g}"

"""The compiler for programs: `ovenbird.compile`, with everything that the command line can do, and nothing printed.

report = ovenbird.compile(net, torch.randn(1, 3, 224, 224), "artifacts/net", progress=print)
report.output, report.errors, report.seconds
model = ovenbird_runtime.load(report.output)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ovenbird.api.child import Callback, compile_in_child
from ovenbird.api.request import CompileRequest
from ovenbird.artifact.report import CompileReport
from ovenbird.backends.precisions import parse_precisions
from ovenbird.errors import UsageError
from ovenbird.limits import MAX_BATCH
from ovenbird.loading.options import NetworkOptions
from ovenbird.networks.processing.options import ProcessingOptions
from ovenbird.options import (
    DEFAULT_BATCHES,
    DEFAULT_DISAGREEMENT,
    DEFAULT_PICTURES,
    CalibrationOptions,
    CompileOptions,
    QuantizerName,
)
from ovenbird_runtime.errors import shown
from ovenbird_runtime.manifest.program import InputSize

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

PathText: TypeAlias = "str | os.PathLike[str]"


def compile(
    model: PathText | nn.Module | ExportedProgram,
    example: Any = None,
    output: PathText | None = None,
    *,
    target: str | Sequence[str] = "host",
    weights: PathText | None = None,
    precision: str | Sequence[str] = "f32",
    batch_sizes: Sequence[int] = DEFAULT_BATCHES,
    name: str | None = None,
    preprocess: PathText | None = None,
    processing: ProcessingOptions | None = None,
    input_names: Sequence[str] = (),
    output_names: Sequence[str] = (),
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    image_sizes: Sequence[InputSize] = (),
    arguments: Mapping[str, Any] | None = None,
    tuning_records: PathText | None = None,
    tolerance: float | None = None,
    calibrate: PathText | None = None,
    calibration_size: int = DEFAULT_PICTURES,
    quantizer: QuantizerName = "own",
    int8_programs: Sequence[str] = (),
    max_disagreement: float | None = None,
    fast_math: bool = False,
    trust: bool = False,
    progress: Callback | None = None,
) -> CompileReport:
    """Compile a network into the artifact `output` (default: `artifacts/NAME`), verify it, and return what is known.

    `model` is what the command line takes (a built-in name, `module:callable`, `path/file.py:callable`, a .pt2, .onnx
    or .cfg file), a torch module with `example` inputs (a tensor, a tuple of tensors, or a dict by name), or an
    exported program. The other arguments are the command's options. `progress` is called with a step's text, how many
    parts of it are done and of how many. The work is done in another process: nothing is printed, and the artifact can
    be loaded in this one.

    Raises any CompilerError; then `output` is as it was before.
    """
    precisions, mixed = parse_precisions(precision if isinstance(precision, str) else ",".join(precision))
    most = DEFAULT_DISAGREEMENT if mixed and max_disagreement is None else max_disagreement
    options = CompileOptions(
        targets=(target,) if isinstance(target, str) else tuple(target),
        batch_sizes=_checked_batches(batch_sizes),
        tuning_records=None if tuning_records is None else os.fspath(tuning_records),
        tolerance=tolerance,
        precisions=precisions,
        fast_math=fast_math,
        calibration=CalibrationOptions(
            None if calibrate is None else Path(calibrate),
            calibration_size,
            None,
            most if mixed else None,
            quantizer,
            tuple(int8_programs),
        ),
        max_disagreement=most,
    )
    network = NetworkOptions(
        weights=None if weights is None else os.fspath(weights),
        preprocess=None if preprocess is None else os.fspath(preprocess),
        processing=processing or ProcessingOptions(),
        input_shapes=None if input_shapes is None else {key: tuple(shape) for key, shape in input_shapes.items()},
        image_sizes=tuple(image_sizes),
        input_names=tuple(input_names),
        output_names=tuple(output_names),
        trust=trust,
        name=name,
        arguments=dict(arguments or {}),
    )
    folder = None if output is None else Path(output)
    if isinstance(model, str | os.PathLike):
        if example is not None:
            raise UsageError(f"example inputs are for a module; {shown(os.fspath(model))} brings its own")
        return compile_in_child(CompileRequest(os.fspath(model), folder, network, options), progress)
    return _compile_object(model, example, folder, network, options, progress)


def _compile_object(
    model: nn.Module | ExportedProgram,
    example: Any,
    output: Path | None,
    network: NetworkOptions,
    options: CompileOptions,
    progress: Callback | None,
) -> CompileReport:
    """Write a module or a program to a file that lives until the other process has compiled it."""
    from torch.export import ExportedProgram

    from ovenbird.api.exporting import export_module, save_program

    if network.weights is not None:
        raise UsageError("weights are for a model by name; a module brings its own")
    with tempfile.TemporaryDirectory(prefix="ovenbird-") as work:
        path = Path(work) / "network.pt2"
        if isinstance(model, ExportedProgram):
            exported = save_program(model, path)
        else:
            exported = export_module(model, example, path)
        network = replace(
            network,
            name=network.name or exported.name,
            input_names=network.input_names or exported.inputs,
            output_names=network.output_names or exported.outputs,
            trust=True,  # the file is this process's own
        )
        return compile_in_child(CompileRequest(str(path), output, network, options), progress)


def _checked_batches(sizes: Sequence[int]) -> tuple[int, ...]:
    wrong = [size for size in sizes if type(size) is not int or not 1 <= size <= MAX_BATCH]
    if wrong or not sizes:
        raise UsageError(f"batch_sizes is {shown(sizes)}, expected whole numbers of 1 to {MAX_BATCH}, as in (1, 8)")
    return tuple(sorted(set(sizes)))

"""The small networks as files: exported by each of torch's exporters, in the forms that are met.

    for case in exported(NETWORKS, FORMS): case.name        # "yolo_head-torchscript17-sides"

What a file must answer is what ONNX Runtime answers. A form that an exporter refuses, or ONNX Runtime, is left out.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from cases import Case
from networks import Net

from ovenbird.errors import NetworkError
from ovenbird.networks.onnx.reference import OnnxReference

RTOL, ATOL = 1e-4, 2e-5
"""Of numbers near 1: both sides compute in float32."""
BATCH, SIDES = 3, (24, 16)
"""The batch, and the height and width, that files are asked for where they leave them open; exported were others."""


@dataclass(frozen=True)
class Form:
    """How a network is exported. `open`: "" for nothing, "batch", or "sides" for height and width as well."""

    exporter: str
    opset: int
    open: str = ""
    folded: bool = True

    @property
    def name(self) -> str:
        """A word of a test's name."""
        rest = [self.open] * bool(self.open) + ["unfolded"] * (not self.folded)
        return "-".join([f"{self.exporter}{self.opset}", *rest])


SCRIPT, DYNAMO = "torchscript", "dynamo"
FORMS = (
    Form(SCRIPT, 11), Form(SCRIPT, 11, "sides", False), Form(SCRIPT, 13, "batch"), Form(SCRIPT, 14, "", False),
    Form(SCRIPT, 17, "sides"), Form(SCRIPT, 20, "batch", False), Form(SCRIPT, 9, "batch"),
    Form(DYNAMO, 18), Form(DYNAMO, 18, "sides"), Form(DYNAMO, 20, "batch"), Form(DYNAMO, 20, "sides", False),
    Form(DYNAMO, 13, "batch"),
)  # fmt: skip


def exported(
    networks: Iterable[Net], forms: Iterable[Form], left_out: list[str], names: tuple[str, ...] = ("",)
) -> Iterator[Case]:
    """Yield the files of these networks whose names begin so as cases; what cannot be one is added to `left_out` with
    the reason.
    """
    logging.disable(logging.ERROR)
    kinds = tuple(forms)
    for network in networks:
        for form in kinds:
            name = f"{network.name}-{form.name}"
            if (form.open == "sides" and not network.sides) or not name.startswith(names):
                continue
            try:
                with warnings.catch_warnings(), torch.no_grad():
                    warnings.simplefilter("ignore")
                    model = export(network, form)
                yield case_of(name, network.name, model, asked(network, form))
            except (NetworkError, Exception) as error:  # noqa: BLE001 - the exporter's own, of any type
                left_out.append(f"{name}: {type(error).__name__}: {reason(error)[:200]}")


def reason(error: BaseException) -> str:
    """Return what went wrong at first, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split())


def case_of(name: str, operator: str, model: Any, arrays: list[Any]) -> Case:
    """Return a file as a case, answered by ONNX Runtime."""
    weights = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in weights]
    given = dict(zip(names, arrays, strict=True))
    return Case(name, operator, model, given, tuple(OnnxReference.of(model).run(given)), RTOL, ATOL)


def export(network: Net, form: Form) -> Any:
    """Return the model that an exporter makes."""
    names = [f"x{index}" for index in range(len(network.inputs))]
    file = io.BytesIO()
    if form.exporter == SCRIPT:
        axes = {0: "batch", 2: "height", 3: "width"} if form.open == "sides" else {0: "batch"}
        dynamic = {
            name: {axis: word for axis, word in axes.items() if axis < tensor.dim()}
            for name, tensor in zip(names, network.inputs, strict=True)
        }
        torch.onnx.export(
            network.net, network.inputs, file, dynamo=False, opset_version=form.opset, input_names=names,
            do_constant_folding=form.folded, dynamic_axes=dynamic if form.open else None,
        )  # fmt: skip
        return onnx.load_from_string(file.getvalue())
    batch = torch.export.Dim("batch", min=1, max=64)
    sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC} if form.open == "sides" else {}
    shapes = [
        {axis: dim for axis, dim in {0: batch, **sides}.items() if axis < tensor.dim()} if form.open else None
        for tensor in network.inputs
    ]
    program = torch.onnx.export(
        network.net, network.inputs, dynamo=True, opset_version=form.opset, optimize=form.folded, verbose=False,
        dynamic_shapes=tuple(shapes),
    )  # fmt: skip
    assert program is not None
    return program.model_proto


def asked(network: Net, form: Form) -> list[Any]:
    """Return the inputs that the file is asked for: of other extents than it was exported with, where it is open."""
    found = []
    for tensor in network.inputs:
        shape = list(tensor.shape)
        if form.open:
            shape[0] = BATCH
        if form.open == "sides" and len(shape) == 4:
            shape[2:] = [shape[2] // 2 * 3, shape[3]]
        repeats = [-(-wanted // have) for wanted, have in zip(shape, tensor.shape, strict=True)]
        array = np.tile(tensor.numpy(), repeats)[tuple(slice(side) for side in shape)]
        random = np.random.default_rng(0)
        found.append(np.ascontiguousarray(random.permutation(array.reshape(-1)).reshape(shape)))
    return found

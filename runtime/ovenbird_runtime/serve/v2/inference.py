"""An inference request and its answer, apart from how they travel: HTTP and gRPC both come here.

wanted = choose_outputs(deployment, (Wanted("logits"),), binary=True)
outputs = await infer(context, deployment, call, {"image": array}, wanted, nan="refuse")     # {"logits": array}
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...dataclass import dataclass
from ...engine.inputs import NanPolicy, check_inputs
from ...errors import shown
from ...tensors.arrays import Array
from ..call import Call
from ..context import Context
from ..errors import NotOffered
from ..http.errors import BadRequest
from ..models.deployment import Deployment
from .parameters import ALLOW_NAN
from .tensors import to_bytes


@dataclass(frozen=True)
class Wanted:
    """An output that was asked for; `classes` > 0 asks for the best classes instead of the tensor."""

    name: str
    binary: bool = False
    classes: int = 0


@dataclass(frozen=True)
class InferRequest:
    """Named tensors in, the outputs wanted (none: all of them), and the request's parameters."""

    id: str
    inputs: dict[str, Array]
    outputs: tuple[Wanted, ...]
    parameters: Mapping[str, Any]


def check_takes_tensors(deployment: Deployment) -> None:
    """Refuse to run a model on tensors that makes its answers by a loop. Raises NotOffered."""
    if deployment.model.manifest.loop is not None:
        raise NotOffered(
            f"{deployment.name} writes text: POST /v2/models/{deployment.name}/generate, or "
            f"/v1/models/{deployment.name}:predict"
        )


def choose_outputs(deployment: Deployment, wanted: tuple[Wanted, ...], binary: bool) -> tuple[Wanted, ...]:
    """Return what to send: what was asked for, or everything. Raises BadRequest for an output that does not exist,
    NotOffered.
    """
    check_takes_tensors(deployment)
    names = [spec.name for spec in deployment.model.outputs]
    for output in wanted:
        if output.name not in names:
            raise BadRequest(f"{deployment.name} has no output {shown(output.name)}; there are {', '.join(names)}")
    if len({output.name for output in wanted}) != len(wanted):
        raise BadRequest("an output is asked for twice")
    return wanted or tuple(Wanted(name, binary) for name in names)


async def infer(
    context: Context,
    deployment: Deployment,
    call: Call,
    inputs: dict[str, Array],
    wanted: tuple[Wanted, ...],
    nan: NanPolicy,
) -> dict[str, Array]:
    """Run named tensors; return the wanted outputs, with "classification" ones as arrays of bytes.

    Raises InputError, QueueFull, DeadlineExceeded, EngineError.
    """
    start = time.monotonic()
    rows, arrays = check_inputs(deployment.model.inputs, inputs, nan, ALLOW_NAN)
    size = deployment.model.manifest.program().size_of({name: array.shape for name, array in arrays.items()})
    call.spent("decode", time.monotonic() - start)
    permit = deployment.admission.take(rows, call.deadline, size)
    try:
        call.images, call.stage = rows, "queue"
        deployment.batcher.expect(rows, size)
        outputs, entry = await deployment.infer(rows, arrays, call.deadline, size)
        call.took(entry)
    finally:
        permit.release()
    start = time.monotonic()
    labels = deployment.model.labels
    result = {
        w.name: best_classes(outputs[w.name], labels.get(w.name), w.classes) if w.classes else outputs[w.name]
        for w in wanted
    }
    call.spent("postprocess", time.monotonic() - start)
    call.count(context.metrics)
    return result


def best_classes(array: Array, labels: tuple[str, ...] | None, count: int) -> Array:
    """Return Triton's classification strings "value:index:label" of each row's largest values, as objects."""
    rows = array.reshape(array.shape[0], -1) if array.ndim > 1 else array.reshape(1, -1)
    falling = -rows if rows.dtype.kind == "f" else ~rows  # whole numbers have no negative of their smallest
    best = np.argsort(falling, axis=1, kind="stable")[:, :count]
    texts = [
        [f"{float(row[i]):f}:{i}" + (f":{labels[i]}" if labels else "") for i in map(int, order)]
        for row, order in zip(rows, best, strict=True)
    ]
    return np.array([[text.encode("utf-8") for text in row] for row in texts], dtype=object)


def packed(array: Array) -> tuple[str, bytes]:
    """Return (datatype, raw bytes); texts with four bytes of length before each."""
    from .tensors import NAMES

    if array.dtype == object:
        return "BYTES", b"".join(len(item).to_bytes(4, "little") + item for item in array.reshape(-1))
    return NAMES[str(array.dtype)], to_bytes(array)

"""Operators that Relax lacks: how an importer calls one, and what a backend needs to write its kernel.

    call = own_call(Sort(axis=-1, descending=True), x)      # Relax: values and indices
    operator = own_operator(call, OWN)                      # the Sort again, None for any other call
    operator.kernel(specs, layout)                          # a function of plain loops

A kernel is written once. Its outermost parallel loops are independent of each other: the processor's threads share
them, and on a GPU each step has a thread of its own. An operator on images reads and writes them through the layout
of the backend, so that neighbouring lanes take neighbouring channels.
"""

from __future__ import annotations

import dataclasses
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

from tvm import relax, tirx
from tvm.ir import StringImm

PREFIX = "ovenbird."
"""Before an operator's name, where Relax calls it."""


KERNEL = "ovenbird.kernel"
"""The attribute of a kernel of plain loops: the operator's name."""


class Spec(NamedTuple):
    """Shape and dtype of a tensor."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def size(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ImageLayout:
    """Where the channels of an image [N, C, H, W] lie: in blocks, behind the pixels, or before them.

    A step of a kernel's parallel loop handles `groups` groups of `lanes` channels each, `count` steps all of them.
    """

    kind: Literal["blocked", "channels_last", "plain"]
    block: int = 1

    def shape(self, image: Sequence[int]) -> tuple[int, ...]:
        """Return the shape of the buffer that holds an image."""
        n, c, *pixels = image
        if self.kind == "blocked":
            return (n, -(-c // self.block), *pixels, self.block)
        return (n, *pixels, c) if self.kind == "channels_last" else (n, c, *pixels)

    def lanes(self) -> int:
        """Return how many channels lie side by side for a vector."""
        return self.block if self.kind == "blocked" else 1

    def groups(self, channels: int) -> int:
        """Return how many groups of lanes one step handles: all on a processor, one on a GPU."""
        return 1 if self.kind == "channels_last" else -(-channels // self.lanes())

    def count(self, channels: int) -> int:
        """Return over how many steps the channels of one pixel are spread."""
        return channels if self.kind == "channels_last" else 1

    def at(self, n: Any, group: Any, pixel: tuple[Any, ...], lane: Any) -> tuple[Any, ...]:
        """Return the index of a pixel's channel: `lane` of the group."""
        if self.kind == "blocked":
            return (n, group, *pixel, lane)
        channel = group * self.lanes() + lane
        return (n, *pixel, channel) if self.kind == "channels_last" else (n, channel, *pixel)


PLAIN = ImageLayout("plain")


@dataclass(frozen=True)
class OwnOperator(ABC):
    """One call's options. Subclasses are frozen dataclasses of numbers, strings and tuples, listed in `own_table`."""

    name: ClassVar[str]
    image_input: ClassVar[bool] = False
    """Whether the first input is an image, in the layout that `kernel` is given."""
    image_output: ClassVar[bool] = False
    """Whether the first output is one as well."""

    @property
    def images(self) -> int:
        """Return how many of the first inputs are images."""
        return int(self.image_input)

    @abstractmethod
    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return what the operator gives for inputs of these shapes."""

    def scratch(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return what the kernel writes besides, and nobody reads."""
        return ()

    @abstractmethod
    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the function over inputs, outputs and scratch, each a flat buffer but for images."""


def own_call(operator: OwnOperator, *tensors: relax.Expr) -> relax.Call:
    """Return the call of an operator; its tensors have static shapes."""
    outputs = [relax.TensorType(spec.shape, spec.dtype) for spec in operator.outputs([spec_of(t) for t in tensors])]
    options = StringImm(json.dumps(dataclasses.asdict(operator), sort_keys=True))
    kind = outputs[0] if len(outputs) == 1 else relax.TupleType(outputs)
    return relax.op.call_pure_packed(PREFIX + operator.name, *tensors, options, ty_args=kind)


def spec_of(tensor: relax.Expr) -> Spec:
    """Return shape and dtype of a tensor expression. Raises ValueError where the shape is not of plain numbers."""
    extents = getattr(getattr(tensor.ty, "shape", None), "values", None)
    if extents is None or not all(isinstance(extent, tirx.IntImm) for extent in extents):
        raise ValueError(f"a tensor of unknown shape: {tensor.ty}")
    return Spec(tuple(int(extent) for extent in extents), str(tensor.ty.dtype))


def own_operator(call: relax.Call, table: dict[str, type[OwnOperator]]) -> OwnOperator | None:
    """Return the operator that a call of `relax.call_pure_packed` names, None for others."""
    name = str(call.args[0].global_symbol)
    kind = table.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None
    if kind is None:
        return None
    options = json.loads(str(call.args[-1].value))
    return kind(**{key: as_tuple(value) for key, value in options.items()})


def as_tuple(value: Any) -> Any:
    """Return JSON's lists as the tuples that they were."""
    return tuple(as_tuple(item) for item in value) if isinstance(value, list) else value

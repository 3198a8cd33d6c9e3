"""What each compiled function does: kind, shape and arithmetic, for reports, tuning and profiles.

Example: `describe_layers(lowered)["fused_conv2d3_add_relu"].flops` is 231_211_008.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tvm import IRModule, relax, tirx
from tvm.s_tir import Schedule

from ovenbird.operators.anchors import ANCHOR
from ovenbird.operators.writing.blocks import leaf_blocks
from ovenbird.operators.writing.own import KERNEL

PRODUCTS = ("conv", "depthwise_conv", "matmul", "batch_matmul", "winograd", "attention")
"""What the kinds of layers that sum products begin with."""


@dataclass
class LayerRecord:
    """One function of the library. `flops`: operations of its reductions (a multiply-add counts two); `whole`: they are
    of whole numbers.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    flops: int
    calls: dict[str, int]
    source: Literal["tuned", "default", "stale"] = "default"
    whole: bool = False


def describe_layers(module: IRModule) -> dict[str, LayerRecord]:
    """Return one record for each function, with how often each entry calls it."""
    records = {
        name.name_hint: describe_function(name.name_hint, function)
        for name, function in module.functions_items()
        if isinstance(function, tirx.PrimFunc)
    }
    for name, function in module.functions_items():
        if isinstance(function, relax.Function):
            count_calls(name.name_hint, function, records)
    return records


def describe_function(name: str, function: tirx.PrimFunc) -> LayerRecord:
    """Return the record of one function, not yet called by anybody."""
    sch = Schedule(function)
    kind, flops = "elementwise", 0
    anchors: list[str] = []
    shape: tuple[int, ...] = ()
    whole = False
    if KERNEL in (function.attrs or {}):
        kind, shape = str(function.attrs[KERNEL]), tuple(int(extent) for extent in function.params[-1].shape)
    for block in leaf_blocks(sch):
        body = sch.get(block)
        if body.init is not None:
            loops = 1
            for loop in sch.get_loops(block):
                loops *= int(sch.get(loop).extent)
            flops += 2 * loops
        if not body.writes:  # a block that only calls something
            continue
        buffer = body.writes[0].source
        whole = whole or (body.init is not None and str(buffer.dtype) == "int32")
        if ANCHOR in body.annotations:
            anchors.append(body.name_hint)
            kind = " + ".join(anchors)
            shape = tuple(int(extent) for extent in buffer.shape)
        elif kind == "elementwise":
            shape = tuple(int(extent) for extent in buffer.shape)
    return LayerRecord(name, kind, shape, flops, {}, whole=whole)


def whole_share(layers: Iterable[LayerRecord]) -> tuple[int, int]:
    """Return how many calls of functions that sum products do so in whole numbers, and how many there are."""
    counts = [(sum(layer.calls.values()), layer.whole) for layer in layers if layer.kind.startswith(PRODUCTS)]
    return sum(count for count, whole in counts if whole), sum(count for count, _ in counts)


def count_calls(entry: str, function: relax.Function, records: dict[str, LayerRecord]) -> None:
    """Add the calls of one entry to the records."""

    for block in function.body.blocks:
        for binding in block.bindings:
            call = binding.value
            if isinstance(call, relax.Call) and getattr(call.op, "name", "") == "relax.call_tir":
                record = records[call.args[0].name_hint]
                record.calls[entry] = record.calls.get(entry, 0) + 1

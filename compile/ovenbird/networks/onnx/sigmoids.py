"""Sigmoids as exact as float32 is, in a model that ONNX Runtime is to answer for.

ONNX Runtime's own is (1 + tanh(x / 2)) / 2, off by 6e-8 whatever the answer: small probabilities, which detectors give
for most of an image, are lost in that. exp(-softplus(-x)) is the same number with all of its digits.

    model = exact_sigmoids(model)           # the model itself where it has none
"""

from __future__ import annotations

from typing import Any

from onnx import helper


def exact_sigmoids(model: Any) -> Any:
    """Return the model with each sigmoid of its graph written by other operators."""
    if not any(_is_sigmoid(node) for node in model.graph.node):
        return model
    result = type(model)()
    result.CopyFrom(model)
    del result.graph.node[:]
    for node in model.graph.node:
        if not _is_sigmoid(node):
            result.graph.node.append(node)
            continue
        between = (f"{node.output[0]}/{step}" for step in ("negative", "softplus", "logarithm"))
        names = [node.input[0], *between, node.output[0]]
        for operator, source, target in zip(("Neg", "Softplus", "Neg", "Exp"), names, names[1:], strict=False):
            result.graph.node.append(helper.make_node(operator, [source], [target]))
    return result


def _is_sigmoid(node: Any) -> bool:
    return bool(node.op_type == "Sigmoid" and not node.domain)

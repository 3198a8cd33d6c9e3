"""From an ONNX graph to Relax, node by node; every shape is known, and all that follows from shapes is computed here.

    module = import_model(model, {"image": (1, 3, 224, 224)})     # "main" takes the inputs, and returns a tuple

A node is, in this order: computed now where its inputs are known (`folding`); a function of the model itself,
imported by its body; translated by its converter (`converters.table`); a function by the standard's definition,
imported by that body (`definitions`); or refused by name.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tvm
from onnx import numpy_helper
from tvm import relax

from ovenbird.errors import NetworkUnreadable, UnsupportedOperator
from ovenbird.limits import MAX_FUNCTION_DEPTH, MAX_NETWORK_ELEMENTS
from ovenbird.networks.onnx.converters.table import CONVERTERS
from ovenbird.networks.onnx.definitions import (
    MAIN_DOMAINS,
    attributes_of,
    body_of,
    called,
    empty_type,
    schema_of,
    type_of,
)
from ovenbird.networks.onnx.dtypes import computed, element_dtype, passed, widened
from ovenbird.networks.onnx.folding import fold, foldable
from ovenbird.networks.onnx.node import Node, OnnxValue, as_expression, dtype_of, shape_of
from ovenbird.networks.onnx.refusals import refusal
from ovenbird.passes.quantized.unify_quantization import unify_quantization

Scope = ChainMap[str, OnnxValue]


def import_model(model: Any, shapes: Mapping[str, Sequence[int]]) -> tvm.IRModule:
    """Import a model whose inputs have these shapes. Raises UnsupportedOperator, ImportFailed, NetworkUnreadable."""
    return unify_quantization(GraphImporter(model).run(shapes))


class GraphImporter:
    """Holds what all graphs of a model share: the builder and the model's own functions."""

    def __init__(self, model: Any) -> None:
        self.graph = model.graph
        self.producer = model.producer_name
        self.opsets = opsets_of(model)
        self.functions = {(function.domain, function.name, function.overload): function for function in model.functions}
        self.builder = relax.BlockBuilder()
        self.declared = declared_shapes([*self.graph.value_info, *self.graph.output])

    def run(self, shapes: Mapping[str, Sequence[int]]) -> tvm.IRModule:
        """Return the module."""
        scope: Scope = ChainMap({tensor.name: weight(tensor) for tensor in self.graph.initializer})
        parameters: list[relax.Var] = []
        for index, value in enumerate(value for value in self.graph.input if value.name not in scope):
            dtype = passed(element_dtype(value.type.tensor_type.elem_type))
            parameter = relax.Var(f"input_{index}", relax.TensorType(list(shapes[value.name]), dtype.name))
            parameters.append(parameter)
            scope[value.name] = parameter
        with self.builder.function("main", parameters):
            try:
                with self.builder.dataflow():
                    for value in self.graph.input:
                        found = scope[value.name]
                        if isinstance(found, relax.Var):
                            scope[value.name] = self._cast(found, computed(np.dtype(dtype_of(found))).name)
                    values = self.import_graph(self.graph, scope, self.opsets)
                    outputs = [self._output(*pair) for pair in zip(self.graph.output, values, strict=True)]
                    result = self.builder.emit_output(relax.Tuple(outputs))
                self.builder.emit_func_output(result)
            except BaseException:
                self.builder._end_block()  # TVM prints a warning of a block left open
                raise
        return self.builder.get()

    def _output(self, output: Any, found: OnnxValue) -> relax.Expr:
        if found is None or isinstance(found, list):
            raise UnsupportedOperator(f"the output {output.name!r} is no tensor; give its parts as outputs, one each")
        if not math.prod(shape_of(found)):
            raise UnsupportedOperator(f"the output {output.name!r} has no elements: {list(shape_of(found))}")
        return self._cast(as_expression(found), passed(element_dtype(output.type.tensor_type.elem_type)).name)

    def import_graph(self, graph: Any, scope: Scope, opsets: Mapping[str, int], depth: int = 0) -> list[OnnxValue]:
        """Import a graph's nodes into the scope and return its outputs."""
        wanted = [output.name for output in graph.output]
        self.import_nodes(graph.node, wanted, scope, opsets, depth)
        return [scope[name] for name in wanted]

    def import_nodes(
        self, nodes: Iterable[Any], wanted: Sequence[str], scope: Scope, opsets: Mapping[str, int], depth: int
    ) -> None:
        """Import the nodes that the names wanted need; `depth`: of functions within functions."""
        for node in needed(list(nodes), wanted):
            missing = [name for name in node.input if name and name not in scope]
            if missing:
                raise NetworkUnreadable(f"{node.op_type} reads {missing[0]!r}, which no node before it computes")
            values = self.import_node(node, scope, opsets, depth)
            for name, value in zip(node.output, values, strict=False):
                if name:
                    scope[name] = self._held(value, node)

    def import_node(self, node: Any, scope: Scope, opsets: Mapping[str, int], depth: int) -> Sequence[OnnxValue]:
        """Return the outputs of one node."""
        domain = "" if node.domain in MAIN_DOMAINS else node.domain
        opset = opsets.get(domain, 1)
        schema = schema_of(node.op_type, domain, opset)
        inputs = [scope[name] if name else None for name in node.input]
        own = self.functions.get((node.domain, node.op_type, node.overload))
        if own is None and foldable(node, schema) and all(known(value) for value in inputs):
            named = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
            folded = fold(node, schema, opsets, named)
            if folded is not None:
                return folded
        attributes = attributes_of(node, schema)
        if own is not None:
            return self._call(node, own, attributes, inputs, opsets, depth)
        converter = CONVERTERS.get(f"{domain}.{node.op_type}" if domain else node.op_type)
        if converter is not None:

            def branch(graph: Any, given: Sequence[OnnxValue]) -> list[OnnxValue]:
                inner = scope.new_child({tensor.name: weight(tensor) for tensor in graph.initializer})
                inner.update(zip((value.name for value in graph.input), given, strict=False))
                return self.import_graph(graph, inner, opsets, depth)

            version = schema.since_version if schema is not None else opset
            names = tuple(node.output)
            result = converter(
                Node(
                    node.op_type,
                    node.name,
                    opset,
                    version,
                    inputs,
                    names,
                    attributes,
                    self.builder,
                    branch,
                    self.declared,
                    self.producer,
                )
            )
            return result if isinstance(result, tuple) else (result,)
        if schema is not None:
            types = [empty_type() if value is None else type_of(dtype_of(value), shape_of(value)) for value in inputs]
            body = body_of(node, schema, opset, types)
            if body is not None:
                return self._call(node, body, attributes, inputs, opsets, depth)
        raise refusal(node.op_type, domain, node.name)

    def _call(
        self,
        node: Any,
        body: Any,
        attributes: dict[str, Any],
        inputs: Sequence[OnnxValue],
        outer_opsets: Mapping[str, int],
        depth: int,
    ) -> Sequence[OnnxValue]:
        """Import a function's body in place of the node that calls it."""
        if depth >= MAX_FUNCTION_DEPTH:
            raise UnsupportedOperator(f"functions call each other {depth} deep at {node.op_type}")
        scope: Scope = ChainMap(dict.fromkeys(body.input))
        scope.update(zip(body.input, inputs, strict=False))
        opsets = {"" if each.domain in MAIN_DOMAINS else each.domain: each.version for each in body.opset_import}
        read = {inner: bool(outer) for inner, outer in zip(body.output, node.output, strict=False)}
        wanted = [name for name, is_read in read.items() if is_read]
        self.import_nodes(called(node, body, attributes), wanted, scope, {**outer_opsets, **opsets}, depth + 1)
        return [scope[name] if is_read else None for name, is_read in read.items()]

    def _held(self, value: OnnxValue, node: Any) -> OnnxValue:
        """Return a node's output bound to a variable. Raises UnsupportedOperator for sizes that nothing can hold."""
        if isinstance(value, list):
            return [self._held(each, node) for each in value]
        if value is None or isinstance(value, np.ndarray):
            return value
        bound = value if isinstance(value, relax.Var) else self.builder.emit(value)
        elements = math.prod(shape_of(bound))
        if elements > MAX_NETWORK_ELEMENTS:
            raise UnsupportedOperator(
                f"the operator {node.op_type} gives {elements} elements, limit {MAX_NETWORK_ELEMENTS}"
            )
        return bound if elements else np.zeros(shape_of(bound), dtype_of(bound))

    def _cast(self, value: relax.Expr, dtype: str) -> relax.Expr:
        return value if dtype_of(value) == dtype else self.builder.emit(relax.op.astype(value, dtype))


def opsets_of(model: Any) -> dict[str, int]:
    """Return the version of each operator set that a model asks for."""
    return {"" if each.domain in MAIN_DOMAINS else each.domain: each.version for each in model.opset_import}


def declared_shapes(values: Iterable[Any]) -> dict[str, tuple[int, ...]]:
    """Return the shapes that a graph states for its values, those without a number for an extent left out."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in values if value.type.HasField("tensor_type")}
    return {
        name: tuple(dim.dim_value for dim in dims)
        for name, dims in shapes.items()
        if dims and all(dim.dim_value > 0 for dim in dims)
    }


def weight(tensor: Any) -> Any:
    """Return an initializer's array, in the dtype that it is computed in."""
    return widened(numpy_helper.to_array(tensor))


def known(value: OnnxValue) -> bool:
    """Return whether a value is computed already, or left out."""
    return value is None or isinstance(value, np.ndarray) or (isinstance(value, list) and all(map(known, value)))


def needed(nodes: list[Any], wanted: Sequence[str]) -> list[Any]:
    """Return the nodes that the names need, in order."""
    names = set(wanted)
    found = []
    for node in reversed(nodes):
        if names & set(node.output):
            found.append(node)
            names.update(name for name in node.input if name)
            names.update(name for attribute in node.attribute for name in outer_names(attribute))
    return found[::-1]


def outer_names(attribute: Any) -> set[str]:
    """Return the names that graphs of an attribute may read from around them."""
    graphs = [attribute.g] if attribute.HasField("g") else list(attribute.graphs)
    names: set[str] = set()
    for graph in graphs:
        names.update(output.name for output in graph.output)
        for node in graph.node:
            names.update(node.input)
            for inner in node.attribute:
                names |= outer_names(inner)
    return names

"""Which tensors of a network live as whole numbers.

    points = choose_points(module)
    points.roots                         # the tensors whose ranges are needed, in order
    points.uses[(variable, 0)]           # the tensor that operand 0 of a call is to be read from, quantized

- What convolutions of images and products of matrices multiply by weights. Products of two computed tensors, as in
  attention, stay float: they are one kernel with their softmax, and cost little against the layers.
- What pools, means, concatenations, resizes and residual sums read of images: they pass whole numbers on. Of a sum,
  one side comes from the layer before it in registers, and stays float.
- What only moves numbers has the scale of what it moves.
- What products of matrices store is no image, whatever its axes: heads of keys and values, weights of attention.

Everything else is float, as are the network's outputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import tvm
from tvm import relax

from ovenbird.passes.shapes import static_shape
from ovenbird.quantize.graph import Graph, is_constant, operands

CONVOLUTIONS = frozenset(f"relax.nn.conv{dims}d" for dims in (1, 2, 3))
LAYERS = frozenset({"relax.nn.conv2d", "relax.matmul"})
"""Operators that there are kernels of whole numbers for."""
MOVES = frozenset(
    f"relax.{name}" for name in ("expand_dims", "nn.max_pool2d", "permute_dims", "reshape", "squeeze", "strided_slice")
)
"""Operators whose results are some of their operand's numbers."""
PASSING = frozenset(
    f"relax.{name}"
    for name in ("nn.avg_pool2d", "nn.adaptive_avg_pool2d", "mean", "concat", "image.resize2d", "add", "multiply")
)
"""Operators that can be computed of whole numbers, where those are there anyway."""


@dataclass
class Points:
    """The tensors to quantize."""

    graph: Graph
    uses: dict[tuple[relax.Var, int], relax.Var] = field(default_factory=dict)
    """(variable, operand) -> the variable whose quantized value that operand is."""
    roots: list[relax.Var] = field(default_factory=list)
    """The tensors that have a range of their own."""
    root_of: dict[relax.Var, relax.Var] = field(default_factory=dict)
    """For a quantized tensor: the one whose range it has."""
    layers: list[relax.Var] = field(default_factory=list)
    """The layers with quantized weights or operands, in order."""
    floats: frozenset[relax.Var] = frozenset()
    """Those that stay floats after all."""
    rounded: frozenset[relax.Var] = frozenset()
    """Of those: whose weights become bfloat16, by which such layers are known."""

    def layers_of_roots(self) -> dict[relax.Var, list[relax.Var]]:
        """Return the layers that read each root, or what was moved of it; where none does, the layer before it."""
        found: dict[relax.Var, list[relax.Var]] = {}
        layers = set(self.layers)
        for (var, _), source in self.uses.items():
            if var in layers:
                found.setdefault(self.root_of[source], []).append(var)
        places = self.graph.places
        for root in self.roots:
            if root not in found and self.layers:
                before = [layer for layer in self.layers if places[layer] <= places[root]]
                found[root] = [before[-1] if before else self.layers[0]]
        return found

    def without(self, places: Collection[int], rounded: Collection[int] = ()) -> Points:
        """Return these points with some layers in floats, and what belongs to none of the others; `rounded`: those of
        them that multiply bfloat16.
        """
        floats = frozenset(self.layers[place] for place in places)
        exact = {root for root, layers in self.layers_of_roots().items() if floats.issuperset(layers)}
        uses = {
            use: source
            for use, source in self.uses.items()
            if use[0] not in floats and self.root_of[source] not in exact
        }
        halves = frozenset(self.layers[place] for place in rounded)
        return replace(self, uses=uses, floats=floats, rounded=halves)

    @property
    def signature(self) -> str:
        """What is the same for a network's modules of all batch and image sizes, if it is one network."""
        names = [self.graph.name(var) for var in (*self.roots, *self.layers)]
        uses = sorted((self.graph.name(var), index) for var, index in self.uses)
        return hashlib.sha256(f"{names} {uses}".encode()).hexdigest()


def choose_points(module: tvm.IRModule) -> Points:
    """Choose the tensors to quantize in a prepared module of floats."""
    graph = Graph.of(module["main"])
    points = Points(graph)
    inner: set[relax.Var] = set()  # what stays in registers
    stored: set[relax.Var] = set()  # images that convolutions store
    for var in graph.order:
        if graph.name(var) in LAYERS and var not in inner:
            chain = graph.chain(var)
            inner.update(chain[:-1])
            if graph.name(var) in CONVOLUTIONS:
                stored.add(chain[-1])
    for var in graph.order:
        if graph.name(var) in LAYERS and _quantizable(graph, var):
            points.layers.append(var)
            for index, operand in enumerate(graph.definitions[var].args[:2]):
                if isinstance(operand, relax.Var):
                    points.uses[(var, index)] = operand
    multiplied = set(points.uses.values())
    passed = set(stored)
    for var in graph.order:
        if graph.name(var) in MOVES | {"relax.concat", "relax.image.resize2d"} and any(
            operand in passed for operand in _reads(graph, var)
        ):
            passed.add(var)
    for var in graph.order:
        if graph.name(var) not in PASSING or not _is_float(var):
            continue
        for index, operand in enumerate(_reads(graph, var)):
            if not isinstance(operand, relax.Var) or operand in inner or not _is_float(operand):
                continue
            if static_shape(operand) != static_shape(var) and graph.name(var) in ("relax.add", "relax.multiply"):
                continue  # a bias, a gate
            image = operand in passed and len(static_shape(operand) or ()) == 4
            if operand in multiplied or image:
                points.uses[(var, index)] = operand
    _move(points)
    _find_roots(points)
    return points


def _reads(graph: Graph, var: relax.Var) -> list[relax.Expr]:
    return list(operands(graph.definitions[var])) if var in graph.definitions else []


def _quantizable(graph: Graph, var: relax.Var) -> bool:
    """Return whether a layer is one of floats with a constant weight."""
    call = graph.definitions[var]
    data, weight = call.args[:2]
    if not (_is_float(data) and _is_float(weight) and is_constant(weight)) or is_constant(data):
        return False
    if graph.name(var) in CONVOLUTIONS:
        return str(call.attrs.kernel_layout).startswith("OI") and str(call.attrs.data_layout).startswith("NC")
    return len(static_shape(weight) or ()) == 2


def _is_float(expr: relax.Expr) -> bool:
    return isinstance(expr.ty, relax.TensorType) and str(expr.ty.dtype) == "float32" and static_shape(expr) is not None


def _move(points: Points) -> None:
    """Let what moves numbers move whole ones, where its result is read as such."""
    graph = points.graph
    wanted = set(points.uses.values())
    for var in reversed(graph.order):
        if var not in wanted or graph.name(var) not in MOVES:
            continue
        operand = graph.definitions[var].args[0]
        if isinstance(operand, relax.Var) and _is_float(operand) and _is_float(var):
            points.uses[(var, 0)] = operand
            wanted.add(operand)


def _find_roots(points: Points) -> None:
    graph, wanted = points.graph, set(points.uses.values())
    for var in graph.order:
        if var not in wanted:
            continue
        root = var
        if graph.name(var) in MOVES and (var, 0) in points.uses:
            root = points.root_of[graph.definitions[var].args[0]]
        else:
            points.roots.append(var)
        points.root_of[var] = root

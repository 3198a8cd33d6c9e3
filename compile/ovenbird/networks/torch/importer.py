"""TVM's importer of torch programs with our converters, and with torch as its judge.

    module = import_exported(traced.export(batch=8))    # "main" takes the inputs only, weights are constants

Every node's result has to be of the dtype and the shape that torch says it has: what a converter reads otherwise than
torch is refused by name, never compiled. What depends on no input is computed by torch itself (`constants.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import tvm
from torch.export import ExportedProgram
from tvm import relax
from tvm.relax.frontend.torch.exported_program_translator import ExportedProgramImporter

from ovenbird.errors import ImportFailed, NetworkError, UnsupportedOperator
from ovenbird.networks.import_errors import import_error
from ovenbird.networks.torch.constants import compute_constants, held_tensors
from ovenbird.networks.torch.converters.converter import dtype_name, dtype_of
from ovenbird.networks.torch.converters.table import DISTRUSTED, torch_operators
from ovenbird.networks.torch.graph.decomposition import decompose
from ovenbird.networks.torch.graph.places import operands_of, operator_of, place_of
from ovenbird.networks.torch.graph.refusing import refuse_complex, refuse_effects, refuse_unknown_lengths
from ovenbird.networks.torch.graph.state import refuse_state
from ovenbird.passes.bound_indices import bound_indices
from ovenbird.passes.quantized.unify_quantization import unify_quantization

ALIGNMENT = 64
"""Bytes: where TVM wants tensors to begin."""


def import_exported(program: ExportedProgram) -> tvm.IRModule:
    """Import an ExportedProgram. Raises UnsupportedOperator, ImportFailed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return unify_quantization(bound_indices(Importer().convert(program)))
    except NetworkError:
        raise
    except Exception as error:
        raise import_error(error) from error


class Importer(ExportedProgramImporter):  # type: ignore[misc]
    """Converts one program; not to be used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.constants: dict[Any, Any] = {}
        self.held: dict[str, Any] = {}

    def convert(self, program: ExportedProgram) -> tvm.IRModule:
        """Return the Relax module. Raises UnsupportedOperator, ImportFailed."""
        refuse_complex(program)
        program = decompose(program, self.convert_map, torch_operators())
        refuse_effects(program)
        refuse_state(program)
        self.constants = compute_constants(program)
        self.held = held_tensors(program)
        refuse_unknown_lengths(program, self.constants)
        return self.from_exported_program(program, False, False, False, None)

    def create_convert_map(self) -> dict[Any, Callable[[Any], Any]]:
        """Return TVM's converters but for those that err, and ours, each with its result checked."""
        theirs = {name: of for name, of in super().create_convert_map().items() if name not in DISTRUSTED}
        ours = {name: self._ours(of) for name, of in torch_operators().items()}
        return {name: self._checked(of) for name, of in {**theirs, **ours}.items()}

    def expression_of(self, value: Any) -> Any:
        """Return an argument with expressions in the places of nodes."""
        return self._retrieve_args(value)

    def tensor_of(self, node: Any) -> torch.Tensor | None:
        """Return the tensor of a node that depends on no input: a weight, or what torch computed of weights."""
        found = self.constants.get(node, self.held.get(node.name))
        return found if isinstance(found, torch.Tensor) else None

    def _ours(self, convert: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
        return lambda node: convert(node, self)

    def _checked(self, convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return a converter that leaves what is known to torch, and checks what comes out."""

        def converted(node: Any) -> Any:
            if node in self.constants:
                return self._known(self.constants[node]) if self._is_read(node) else None
            try:
                result = convert(node)
            except NetworkError as error:
                raise type(error)(f"{error} ({place_of(node)})") from error
            except Exception as error:
                raise ImportFailed(
                    f"no import for {operator_of(node)} of {operands_of(node)} ({place_of(node)}); "
                    "rewrite that part of the network"
                ) from error
            check(node, result)
            return result

        return converted

    def _known(self, value: Any) -> Any:
        """Return tensors that torch computed as expressions; one number all over is kept as that number."""
        if isinstance(value, (tuple, list)):
            return relax.Tuple([self._known(item) for item in value])
        if not isinstance(value, torch.Tensor):
            return value
        held = value.detach().contiguous()
        first = held.reshape(-1)[:1]
        if held.numel() > 1 and bool(first.isfinite()) and bool((held == first).all()):
            one = relax.const(tvm.runtime.from_dlpack(first[0].clone()))
            return self.block_builder.emit(relax.op.full(tuple(held.shape), one, dtype_name(held.dtype)))
        return relax.const(tvm.runtime.from_dlpack(held if held.data_ptr() % ALIGNMENT == 0 else held.clone()))

    def _is_read(self, node: Any) -> bool:
        """Return whether a constant is an operand of something that is none."""
        return any(user not in self.constants for user in node.users)

    def _check_unsupported_func_type(self, nodes: Any) -> None:
        for node in nodes:
            asked = node.op == "call_function" and node not in self.constants
            if asked and node.target.__name__ not in self.convert_map:
                raise UnsupportedOperator(
                    f"no import for the operator {operator_of(node)} ({place_of(node)}); "
                    "rewrite that part of the network"
                )


def check(node: Any, result: Any) -> None:
    """Compare a result with what torch says of it. Raises ImportFailed."""
    right = node.meta.get("val")
    if not isinstance(right, torch.Tensor) or not isinstance(getattr(result, "ty", None), relax.TensorType):
        return
    found = f"{dtype_of(result)}{_shape(result)}"
    expected = f"{dtype_name(right.dtype)}{[int(extent) for extent in right.shape]}"
    if found != expected:
        raise ImportFailed(
            f"{operator_of(node)} would become {found}, torch gives {expected} ({place_of(node)}); "
            "rewrite that part of the network"
        )


def _shape(value: Any) -> Any:
    try:
        return [int(extent) for extent in value.ty.shape]
    except TypeError:
        return f"{value.ty.shape}"

"""A torch network as a `Source`: traced by torch.export at each batch size, with torch itself as the reference.

source = TorchSource(Traced.of(net, example_inputs))
PartSource(Traced.of(step, (tokens, positions, keys))).examples(4)      # its first four rows, then those anew
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ovenbird.networks.network import ArrayForm
from ovenbird.networks.torch.forms import dtype_of, keeps_nothing
from ovenbird.networks.torch.tracing import Traced
from ovenbird.networks.torch.widening import FLOATS, LOW, InDtype, holdable, other_dtypes
from ovenbird_runtime.manifest.program import InputSize
from ovenbird_runtime.tensors.arrays import Array

if TYPE_CHECKING:
    import tvm
    from torch.export import ExportedProgram


@dataclass
class TorchSource:
    """Holds a traced network; exports are kept, since digest and import need the same one."""

    traced: Traced
    framework: str = "torch"
    one_row: bool = False
    _exports: dict[int | None, ExportedProgram] = field(default_factory=dict)
    _references: dict[int | None, InDtype] = field(default_factory=dict)

    @property
    def batched(self) -> bool:
        """Whether an input has a batch dimension."""
        return any(self.traced.batched)

    def exported(self, batch: int | None) -> ExportedProgram:
        """Return the ExportedProgram for a batch size, traced once. Raises NetworkUntraceable."""
        if batch not in self._exports:
            program = self.traced.export(batch)
            dtypes = other_dtypes(program)
            if dtypes:
                same = InDtype(program, dtypes, self.traced.output_examples)
                program = self.traced.export(batch, same)
                if dtypes & LOW:  # torch's own low arithmetic would be no reference; float64 is the better one
                    self._references[batch] = same
            self._exports[batch] = program
        return self._exports[batch]

    def relax(self, batch: int | None) -> tvm.IRModule:
        """Trace and import. Raises NetworkUntraceable, UnsupportedOperator, ImportFailed."""
        from ovenbird.networks.torch.importer import import_exported  # TVM, which tracing does without

        return import_exported(self.exported(batch))

    def reference(self, inputs: list[Array]) -> list[Array]:
        """Run the network in torch, on one thread; one that is stored in a low dtype, in float32."""
        tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in inputs]
        self.exported(1 if self.batched else None)
        if not self._references:
            return [output.detach().contiguous().numpy() for output in self.traced.run(tensors)]
        pairs = zip(tensors, self.traced.batched, strict=True)
        batch = next((tensor.shape[0] for tensor, batched in pairs if batched), None)
        self.exported(batch)
        return [output.contiguous().numpy() for output in self.traced.run(tensors, self._references[batch])]

    @property
    def concurrent(self) -> bool:
        """Whether threads may call the network at once, as its class says by `keeps_nothing`."""
        return keeps_nothing(self.traced.flat.net)

    def answer_forms(self) -> list[ArrayForm]:
        """Return the shapes and dtypes of the answers to `examples(1)`, known since the network was looked at."""
        return [
            ((1, *tensor.shape[1:]) if self.batched else tuple(tensor.shape), dtype_of(tensor))
            for tensor in self.traced.output_examples
        ]

    def closer(self, inputs: list[Array]) -> list[Array] | None:
        """Run the network in torch with float64 in place of smaller floats; None where an operator has no float64."""
        tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in inputs]
        pairs = zip(tensors, self.traced.batched, strict=True)
        batch = next((tensor.shape[0] for tensor, batched in pairs if batched), None)
        same = InDtype(self.exported(batch), FLOATS, self.traced.output_examples, torch.float64)
        try:
            return [output.contiguous().numpy() for output in self.traced.run(tensors, same)]
        except (RuntimeError, TypeError, ValueError):  # what torch raises of dtypes that an operator lacks
            return None

    def examples(self, batch: int) -> list[Array]:
        """Return the examples, their first row repeated to `batch`."""
        tensors = self.traced.with_batch(batch) if self.batched else self.traced.examples
        return [holdable(tensor).numpy() for tensor in tensors]

    def opened(self) -> None:
        """Say that nothing is left to open: where torch runs two rows as it runs each, they are a batch already."""
        return

    def resized(self, size: InputSize) -> TorchSource:
        """Return the network traced anew, on its examples tiled and cut. Raises NetworkUntraceable."""
        return TorchSource(self.traced.resized(*size))

    def digest(self) -> str:
        """Return the sha256 of the traced code and of every tensor it holds."""
        program = self.exported(1 if self.batched else None)
        taken = hashlib.sha256(str(program.graph_module.code).encode("utf-8"))
        tensors: dict[str, Any] = {**program.state_dict, **program.constants}
        for name in sorted(tensors):
            tensor = tensors[name]
            taken.update(f"{name} {getattr(tensor, 'dtype', '')} {tuple(getattr(tensor, 'shape', ()))}\n".encode())
            if isinstance(tensor, torch.Tensor):
                taken.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return taken.hexdigest()


class PartSource(TorchSource):
    """One program of a model of several: its examples are rows that differ, as tokens must."""

    def examples(self, batch: int) -> list[Array]:
        """Return as many rows of the examples."""
        found = []
        for tensor, batched in zip(self.traced.examples, self.traced.batched, strict=True):
            if batched:
                repeats = -(-batch // tensor.shape[0])
                tensor = tensor.repeat(repeats, *[1] * (tensor.dim() - 1))[:batch].contiguous()
            found.append(holdable(tensor).numpy())
        return found

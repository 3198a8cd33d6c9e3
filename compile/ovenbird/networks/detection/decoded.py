"""A network with its decoder behind it, as one source: what another framework gave, decoded by torch.

source = DecodedSource(onnx_source, kind, (640, 640), (0,))
source.relax(1)             # one module, in which the decoder's code follows the network's
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from ovenbird.errors import ImportFailed
from ovenbird.networks.detection.kinds import DetectorKind
from ovenbird.networks.image_shapes import size_of
from ovenbird.networks.import_errors import reason
from ovenbird.networks.network import ArrayForm, NetworkSource
from ovenbird.networks.torch.tracing import Traced
from ovenbird_runtime.manifest.program import InputSize
from ovenbird_runtime.tensors.arrays import Array

if TYPE_CHECKING:
    import tvm


@dataclass
class DecodedSource:
    """`order`: the outputs of `source` that the decoder takes."""

    source: NetworkSource
    kind: DetectorKind
    image: tuple[int, int]
    order: tuple[int, ...]

    @property
    def framework(self) -> str:
        """The name of what the reference answers come from."""
        return self.source.framework

    @property
    def batched(self) -> bool:
        """Whether the batch size can be chosen."""
        return self.source.batched

    @property
    def one_row(self) -> bool:
        """Whether rows go through one by one."""
        return self.source.one_row

    def relax(self, batch: int | None) -> tvm.IRModule:
        """Import both, and put one behind the other. Raises what either import raises."""
        from ovenbird.networks.torch.importer import import_exported  # TVM

        given = self.source.relax(batch)
        shapes = [shape for shape, _ in self.source.answer_forms()]
        rows = [(batch or 1, *shapes[place][1:]) if self.batched else shapes[place] for place in self.order]
        examples = tuple(torch.rand(shape, generator=torch.Generator().manual_seed(0)) for shape in rows)
        decoding = import_exported(Traced.of(self.kind.make(self.image), examples).export(None))
        try:
            return joined(given, decoding, self.order)
        except ValueError as error:  # TVM's, of types that do not fit
            raise ImportFailed(
                f"the code gives other shapes than the model, {shapes}, which depend on what it is given; end it "
                f"before (for NonMaxSuppression: --decode nms): {reason(error)}"
            ) from None

    def reference(self, inputs: list[Array]) -> list[Array]:
        """Run the network in its framework, and the decoder in torch."""
        outputs = self.source.reference(inputs)
        with torch.no_grad():
            found = self.kind.make(self.image)(*(torch.from_numpy(outputs[place]).float() for place in self.order))
        return [tensor.contiguous().numpy() for tensor in found.values()]

    @property
    def concurrent(self) -> bool:
        """Whether threads may call the network at once."""
        return self.source.concurrent

    def answer_forms(self) -> list[ArrayForm]:
        """Return the shapes and dtypes of the boxes, which are computed for it."""
        return [(answer.shape, answer.dtype) for answer in self.reference(self.examples(1))]

    def closer(self, inputs: list[Array]) -> None:
        """Say that there is nothing closer: candidates are chosen by float32's order."""
        return

    def examples(self, batch: int) -> list[Array]:
        """Return the network's own."""
        return self.source.examples(batch)

    def digest(self) -> str:
        """Return the sha256 of the network's and of how it is decoded."""
        text = f"{self.source.digest()} {self.kind.name} {self.image} {self.order}"
        return hashlib.sha256(text.encode()).hexdigest()

    def opened(self) -> None:
        """Say that nothing is left to open: the network's batch was looked at before."""
        return

    def resized(self, size: InputSize) -> DecodedSource:
        """Return the same for images of another size."""
        source = self.source.resized(size)
        return replace(self, source=source, image=size_of(source.examples(1)[0].shape))


def joined(first: tvm.IRModule, second: tvm.IRModule, order: tuple[int, ...]) -> tvm.IRModule:
    """Return a module whose `main` gives the `order` outputs of `first` to `second`, and returns what that returns."""
    from tvm import relax

    from ovenbird.passes.adopt_functions import adopt_functions

    builder = relax.BlockBuilder()
    names = [builder.add_func(_private(adopt_functions(one, builder)), name)
             for one, name in ((first, "network"), (second, "decoding"))]  # fmt: skip
    parameters = [relax.Var(var.name, var.ty) for var in first["main"].params]
    with builder.function("main", parameters, attrs=_attributes(first)):
        with builder.dataflow():
            outputs = builder.emit(relax.Call(names[0], parameters))
            several = isinstance(outputs.ty, relax.TupleType)
            taken = [builder.emit(relax.TupleGetItem(outputs, place)) if several else outputs for place in order]
            taken = [
                builder.emit(relax.op.astype(one, "float32")) for one in taken
            ]  # classes are whole numbers, mostly
            result = builder.emit_output(relax.Call(names[1], taken))
        builder.emit_func_output(result)
    inlined = relax.transform.InlinePrivateFunctions()(builder.finalize())
    return relax.transform.Normalize()(inlined)


def _private(function: Any) -> Any:
    return function.without_attr("global_symbol").without_attr("num_input")


def _attributes(module: Any) -> dict[str, Any]:
    found = module["main"].attrs
    return {"num_input": found["num_input"]} if found is not None and "num_input" in found else {}

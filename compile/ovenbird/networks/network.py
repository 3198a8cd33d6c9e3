"""A network ready to be compiled, whatever it came from: named tensors, Relax at any batch size, a reference.

    network = load_network("resnet50", NetworkOptions(weights="random:7"))
    network.relax(8)                        # IRModule for eight images
    network.reference({"image": array})     # what the network itself answers, by the framework it came from

`loading.py` makes these from names, `module:callable`, `.pt2` and `.onnx`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from ovenbird_runtime.artifact.names import check_model_name
from ovenbird_runtime.manifest.generation import KeptState, TextLoop
from ovenbird_runtime.manifest.manifest import AnswerStep, TensorSpec, WeightsInfo
from ovenbird_runtime.manifest.program import MAIN, InputSize
from ovenbird_runtime.manifest.steps import Pipeline
from ovenbird_runtime.tensors.arrays import Array, Arrays

if TYPE_CHECKING:
    import tvm


ArrayForm = tuple[tuple[int, ...], Any]
"""A shape and a dtype."""


class NetworkSource(Protocol):
    """Where the computation comes from. Arrays go by position, in the order of the network's inputs and outputs."""

    @property
    def framework(self) -> str:
        """The name of what the reference answers come from."""
        ...

    @property
    def batched(self) -> bool:
        """Whether the batch size can be chosen."""
        ...

    def relax(self, batch: int | None) -> tvm.IRModule:
        """Return the Relax module for a batch size; None where the batch cannot be chosen."""
        ...

    def reference(self, inputs: list[Array]) -> list[Array]:
        """Run the network in the framework it came from."""
        ...

    @property
    def concurrent(self) -> bool:
        """Whether `reference` may be called by several threads at once."""
        ...

    def answer_forms(self) -> list[ArrayForm]:
        """Return the shape and dtype of each answer to `examples(1)`."""
        ...

    def closer(self, inputs: list[Array]) -> list[Array] | None:
        """Return the framework's answers computed in float64; None where it does not compute so."""
        ...

    def examples(self, batch: int) -> list[Array]:
        """Return inputs the network is known to accept, with `batch` rows where the batch can be chosen."""
        ...

    def digest(self) -> str:
        """Return the sha256 of graph and weights."""
        ...

    @property
    def one_row(self) -> bool:
        """Whether rows go through one by one, so that code for one is all there can be."""
        ...

    def opened(self) -> NetworkSource | None:
        """Return the network with its batch left open where a file fixes it, unproven; None where it cannot be."""
        ...

    def resized(self, size: InputSize) -> NetworkSource:
        """Return the same network for images of another height and width. Raises UsageError, NetworkUntraceable."""
        ...


@dataclass(frozen=True)
class Network:
    """One network and everything the manifest says about it."""

    name: str
    version: str
    licence: str
    weights: WeightsInfo
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    source: NetworkSource
    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    default_pipeline: str | None = None
    postprocess: tuple[AnswerStep, ...] = ()
    labels: tuple[str, ...] = ()
    sizes: dict[InputSize, Network] = field(default_factory=dict)
    """The network for each of its image sizes (`sizes.py`), the usual one first; empty where it has but one."""
    classes: int | None = None
    """How many classes its boxes have; None where it answers with none, or nobody knows."""
    given_name: str = ""
    """The model's name where the user gave one; tuning logs stay under `name`."""
    notes: tuple[str, ...] = ()
    """What was assumed for the user, a line each."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What the exporter of its file says about it, by key."""

    @property
    def model_name(self) -> str:
        """The model's name, for the manifest, routes and labels."""
        return check_model_name(self.given_name or self.name)

    @property
    def batched(self) -> bool:
        """Whether the batch size can be chosen."""
        return self.source.batched

    @property
    def image_input(self) -> TensorSpec | None:
        """The only input, where it is a float32 image [N, 3 or 1, H, W]; then photographs can be shown to it."""
        spec = self.inputs[0]
        image = len(spec.shape) == 4 and spec.shape[1] in (1, 3) and spec.dtype == "float32"
        return spec if image and len(self.inputs) == 1 else None

    @property
    def programs(self) -> dict[str, Network]:
        """The programs of the model: the only one. So of the five below: a model of several is a `Composite`."""
        return {MAIN: self}

    def batches(self, program: str, wanted: Sequence[int]) -> tuple[int, ...]:
        """Return the batch sizes to compile the program for."""
        return self.programs[program].compiled_batches(wanted)

    @property
    def states(self) -> dict[str, KeptState]:
        """What stays between calls: nothing."""
        return {}

    @property
    def loop(self) -> TextLoop | None:
        """How text is made: not at all."""
        return None

    @property
    def files(self) -> dict[str, bytes]:
        """Files of the artifact that the network brings: none but its labels."""
        return {}

    @property
    def framework(self) -> str:
        """The name of what the reference answers come from."""
        return self.source.framework

    def compiled_batches(self, wanted: Sequence[int]) -> tuple[int, ...]:
        """Return those of the wanted batch sizes that there can be code for; one row where there can be no other."""
        return tuple(sorted(set(wanted))) if self.batched and not self.source.one_row else (1,)

    @property
    def image_sizes(self) -> tuple[InputSize, ...]:
        """All image sizes; one that is empty where there is but one."""
        return tuple(self.sizes) or ((),)

    def at(self, size: InputSize) -> Network:
        """Return the network for one of its image sizes."""
        if not self.sizes:
            return self
        found = self.sizes[size]
        name = self.default_pipeline if self.default_pipeline in found.pipelines else next(iter(found.pipelines), None)
        return replace(found, default_pipeline=name if self.default_pipeline is not None else None)

    @property
    def digest(self) -> str:
        """The sha256 of graph and weights, at all image sizes."""
        if not self.sizes:
            return self.source.digest()
        each = "".join(f"{size} {one.source.digest()}\n" for size, one in self.sizes.items())
        return hashlib.sha256(each.encode()).hexdigest()

    def relax(self, batch: int) -> tvm.IRModule:
        """Return the Relax module for `batch` rows (a network of fixed batch ignores the number)."""
        return self.source.relax(batch if self.batched else None)

    def reference(self, inputs: Arrays) -> Arrays:
        """Run the network in the framework it came from, by names."""
        outputs = self.source.reference([inputs[spec.name] for spec in self.inputs])
        return dict(zip((spec.name for spec in self.outputs), outputs, strict=True))

    def closer(self, inputs: Arrays) -> Arrays | None:
        """Run the network in its framework in float64, by names; None where that does not compute so."""
        outputs = self.source.closer([inputs[spec.name] for spec in self.inputs])
        return None if outputs is None else dict(zip((spec.name for spec in self.outputs), outputs, strict=True))

    def examples(self, batch: int = 1) -> Arrays:
        """Return inputs that the network is known to accept, by names."""
        return dict(zip((spec.name for spec in self.inputs), self.source.examples(batch), strict=True))

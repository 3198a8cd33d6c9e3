"""What the compiler knows about a network that has a name: building it, its weights, images and outputs.

    ModelRecipe("resnet50", "...", "BSD-3-Clause", network=build, head="fc", weights=weights, labels=labels)

A recipe with a `head` is a classifier of two outputs: `logits`, the network's own, and `embedding`, what enters its
last linear layer. One without gives what its network gives, and says in `outputs` what that means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.networks.processing.usual import pipelines_for
from ovenbird.networks.sizes import scaled
from ovenbird_runtime.manifest.answers import LABELS, AnswerStep, Boxes, Classification, Vector
from ovenbird_runtime.manifest.steps import Normalise, Pipeline, imagenet, zoom_crop_pad

if TYPE_CHECKING:
    from torch import nn

    from ovenbird.networks.weights import DefaultWeights

CLASSIFIER_OUTPUTS: tuple[AnswerStep, ...] = (
    Classification(output="logits", labels=LABELS),
    Vector(output="embedding"),
)
"""What a classifier's two outputs mean, in order."""


def imagenet_pipelines() -> dict[str, Pipeline]:
    """Return the two pre-processings of an ImageNet classifier of 224x224 pixels; the first is the default."""
    return {"imagenet": imagenet(), "zoom-crop-pad": zoom_crop_pad()}


@dataclass(frozen=True)
class ModelRecipe:
    """One built-in network.

    `network()` builds it as its authors did, so that their state_dict loads; `head` is the path of a classifier's last
    linear layer, in front of which the embedding is taken, or "" for a network that is compiled as it is. `outputs`
    says what each output means, in the network's order.
    """

    name: str
    summary: str
    licence: str
    network: Callable[[], nn.Module]
    head: str
    weights: DefaultWeights
    labels: Callable[[], tuple[str, ...]]
    image_size: int = 224
    outputs: tuple[AnswerStep, ...] = CLASSIFIER_OUTPUTS
    pipelines: dict[str, Pipeline] = field(default_factory=imagenet_pipelines)
    cfg: Path | None = None
    """darknet's file that defines the network; then `--weights` is darknet's, too."""

    def build(self) -> nn.Module:
        """Return the network in evaluation mode, with the weights its constructor gave it."""
        return self.network().eval()

    def steps(self, outputs: Sequence[str]) -> tuple[AnswerStep, ...]:
        """Return what the network's outputs mean, by their names; boxes take all of them."""
        if any(isinstance(step, Boxes) for step in self.outputs):
            return self.outputs
        return tuple(replace(step, output=name) for name, step in zip(outputs, self.outputs, strict=True))

    def pipelines_at(self, height: int, width: int) -> dict[str, Pipeline]:
        """Return the pre-processings for another square image size, in pixels, the recipe's normalisation kept; none
        for other shapes.
        """
        base = (self.image_size, self.image_size)
        if (height, width) == base:
            return self.pipelines
        if isinstance(self.outputs[0], Boxes):
            return {name: scaled(steps, base, (height, width)) for name, steps in self.pipelines.items()}
        normalise = next(step for step in next(iter(self.pipelines.values())) if isinstance(step, Normalise))
        return {
            name: tuple(normalise if isinstance(step, Normalise) else step for step in steps)
            for name, steps in pipelines_for(height, width).items()
        }

    def whole(self, net: nn.Module) -> nn.Module:
        """Return what is compiled of `net`, whose weights are loaded: it, or with its embedding as a second output."""
        if not self.head:
            return net
        from ovenbird.models._two_outputs import TwoOutputs

        return TwoOutputs(net, self.head)

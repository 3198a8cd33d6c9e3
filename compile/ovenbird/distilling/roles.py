"""The two networks: what MODEL names as something that can be trained, with its pictures' way to its input.

teacher, student = load_role("resnet50", None), load_role("mynets:narrow", "random:0")
student.answers(images).logits          # float32 [N, classes]
torch.save(student.state(), "student.pth")      # what `--weights student.pth` reads
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from ovenbird import models
from ovenbird.errors import UsageError
from ovenbird.networks.processing.usual import pipelines_for
from ovenbird.networks.programs import Programs
from ovenbird.networks.reference import parse_reference
from ovenbird.networks.user.callables import load_user
from ovenbird.networks.weights import apply_weights, parse_weights
from ovenbird_runtime.manifest.steps import Pipeline


@dataclass(frozen=True)
class ClassifierOutput:
    """What a network says of images: one number a class, and its embedding where it has one."""

    logits: torch.Tensor
    embedding: torch.Tensor | None


@dataclass(frozen=True)
class Role:
    """A network with its name, its pre-processing, and the path of its last layer ("" where it is not taken apart)."""

    text: str
    net: nn.Module
    pipeline: Pipeline
    head: str = ""

    def answers(self, images: torch.Tensor) -> ClassifierOutput:
        """Return what the network says of float32 [N, 3, H, W]. Raises UsageError where that is no classifier's."""
        found = self.net(images)
        if isinstance(found, Mapping):
            logits, embedding = found.get("logits", next(iter(found.values()))), found.get("embedding")
        elif isinstance(found, tuple | list):
            logits, embedding = found[0], None
        else:
            logits, embedding = found, None
        if not isinstance(logits, torch.Tensor) or logits.dim() != 2:
            raise UsageError(f"{self.text} is no classifier: its first output is not [N, classes]")
        return ClassifierOutput(logits, embedding if embedding is not None and embedding.dim() == 2 else None)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the tensors under the names of the network as its authors wrote it."""
        state = self.net.state_dict()
        if not self.head:
            return dict(state)
        body = {name.removeprefix("body."): value for name, value in state.items() if name.startswith("body.")}
        head = {name.removeprefix("head."): value for name, value in state.items() if name.startswith("head.")}
        return body | {f"{self.head}.{name}": value for name, value in head.items()}

    @property
    def bytes(self) -> int:
        """The weights' size, those that inference reads."""
        return sum(one.numel() * one.element_size() for one in (*self.net.parameters(), *self.net.buffers()))


def load_role(text: str, weights: str | None) -> Role:
    """Load a built-in classifier, or a `module:callable`. Raises UsageError, and any WeightsError or NetworkError."""
    reference = parse_reference(text, {})
    choice = parse_weights(weights)
    if reference.kind == "callable":
        loaded = load_user(reference)
        if isinstance(loaded, Programs):
            raise UsageError(f"{text} has several programs: distillation is for one network")
        example = _example(loaded.examples)
        apply_weights(loaded.net, choice, None, (loaded.net, (example,)))
        height, width = example.shape[2:]
        return Role(text, loaded.net, next(iter(pipelines_for(height, width).values())))
    if reference.kind != "built-in" or reference.model_name in models.captioner_names():
        raise UsageError(f"{text}: distillation takes a built-in classifier or module:callable, which can be trained")
    recipe = models.recipe(text)
    if not recipe.head:
        raise UsageError(f"{text} is no classifier: distillation compares logits")
    net = recipe.build()
    apply_weights(net, choice, recipe.weights)
    return Role(text, recipe.whole(net), next(iter(recipe.pipelines.values())), recipe.head)


def _example(examples: object) -> torch.Tensor:
    """Return the one image that a network of the user's is shown; without one, of 224x224. Raises UsageError."""
    if isinstance(examples, Mapping):
        examples = tuple(examples.values())
    if isinstance(examples, tuple | list):
        examples = examples[0] if len(examples) == 1 else examples or None
    example = torch.zeros(1, 3, 224, 224) if examples is None else examples
    if not isinstance(example, torch.Tensor) or example.dim() != 4 or example.shape[1] != 3:
        raise UsageError("distillation needs a network of one image, float32 [N, 3, H, W]")
    return example

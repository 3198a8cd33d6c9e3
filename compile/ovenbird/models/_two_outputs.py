"""A classifier that also gives its embedding: what enters its last linear layer.

net = TwoOutputs(torchvision.models.resnet50(), head="fc")
net(image)      # {"logits": [N, 1000], "embedding": [N, 2048]}
"""

from __future__ import annotations

import torch
from torch import nn


class TwoOutputs(nn.Module):
    """Wraps a classifier whose last layer, at the path `head`, is linear; it changes it, so load its weights first."""

    def __init__(self, body: nn.Module, head: str) -> None:
        super().__init__()
        owner_path, _, name = head.rpartition(".")
        owner = body.get_submodule(owner_path)
        self.body = body
        self.head = owner.get_submodule(name)
        setattr(owner, name, nn.Identity())

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Take [N, 3, H, W] float32, return `logits` [N, classes] and `embedding` [N, features]."""
        embedding = self.body(image)
        return {"logits": self.head(embedding), "embedding": embedding}

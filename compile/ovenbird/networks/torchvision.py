"""torchvision, also with a torch that it was not built for, and its names of ImageNet's classes."""

from __future__ import annotations

import sys
from types import ModuleType

NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """Import torchvision, also with a torch whose build its C++ operators do not match.

    Its Python part asks for the schemas of two of those operators at import; no classifier calls them. They are made up
    only where they are missing: to define one that torchvision brings would end the process.
    """
    try:
        import torchvision
    except RuntimeError:  # "operator torchvision::nms does not exist": its library could not be loaded
        import torch

        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in ("torchvision::nms", "torchvision::qnms"):
            torch.library.define(operator, NMS)
        import torchvision

    module: ModuleType = torchvision
    return module


def coco_labels() -> tuple[str, ...]:
    """Return the 91 class names of COCO by its own numbers, as torchvision spells them; 0 is the background."""
    import_torchvision()
    from torchvision.models._meta import _COCO_CATEGORIES

    return tuple(_COCO_CATEGORIES)


def imagenet_labels() -> tuple[str, ...]:
    """Return the 1,000 class names of ImageNet, as torchvision spells them."""
    import_torchvision()
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    return tuple(_IMAGENET_CATEGORIES)

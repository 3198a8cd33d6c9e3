"""Example inputs of a network that came without: from the shapes given, else one image of the size that it expects.

    examples, note = assume_inputs("mynets:net", net, shapes={}, size=(320, 320))
    note            # "example input image [1, 3, 320, 320]; --input-shapes gives another"

Only what `forward` needs and the first layer take part in the guess; where they do not say it, the user is asked.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ovenbird.errors import UsageError, suggest

IMAGE_SIZE = (224, 224)
SEED = 0
LAYERS = nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear | nn.Embedding


def assume_inputs(
    text: str, net: nn.Module, shapes: Mapping[str, Sequence[int]], size: tuple[int, int] | None
) -> tuple[dict[str, torch.Tensor], str]:
    """Return example inputs by name, and a line that says what was assumed ("" where all was given).

    Raises UsageError that says what to give.
    """
    parameters = [
        one
        for one in inspect.signature(net.forward).parameters.values()
        if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    ]
    names = [one.name for one in parameters]
    needed = [one.name for one in parameters if one.default is one.empty] or names[:1]
    if shapes:
        unknown = [name for name in shapes if name not in names]
        if unknown:
            near = suggest(unknown[0], names) or f"; forward takes {', '.join(names)}"
            raise UsageError(f"--input-shapes: {text} has no input {unknown[0]!r}{near}")
        lacking = [name for name in needed if name not in shapes]
        if lacking:
            raise UsageError(f"--input-shapes: {text} needs {lacking[0]}, too")
        return {name: _drawn(net, place, shape) for place, (name, shape) in enumerate(shapes.items())}, ""
    if len(needed) != 1:
        asked = " ".join(f"{name}:[1,...]" for name in needed) or "x:[1,...]"
        raise UsageError(
            f"{text} brings no example inputs, and its forward takes {', '.join(needed) or 'none by name'}; "
            f'return (net, example_inputs), or give --input-shapes "{asked}"'
        )
    shape = _image_shape(text, net, needed[0], size)
    assumed = "" if size is not None else "; --size or --input-shapes gives another"
    return {needed[0]: _drawn(net, 0, shape)}, f"example input {needed[0]} {list(shape)}{assumed}"


def _image_shape(text: str, net: nn.Module, name: str, size: tuple[int, int] | None) -> tuple[int, ...]:
    first = next((module for module in net.modules() if isinstance(module, LAYERS)), None)
    if first is not None and not isinstance(first, nn.Conv2d):
        raise UsageError(
            f"{text} brings no example inputs, and its first layer, {type(first).__name__}, does not show their shape; "
            f'return (net, example_inputs), or give --input-shapes "{name}:[1,...]"'
        )
    channels = 3 if first is None else first.in_channels
    return (1, channels, *(size or _own_size(net) or IMAGE_SIZE))


def _own_size(net: nn.Module) -> tuple[int, int] | None:
    """Return the image size that a network of timm's or of transformers' says it has."""
    for settings in ("pretrained_cfg", "default_cfg"):
        found: Any = getattr(net, settings, None)
        if isinstance(found, Mapping) and isinstance(found.get("input_size"), tuple | list):
            return (int(found["input_size"][-2]), int(found["input_size"][-1]))
    size: Any = getattr(getattr(net, "config", None), "image_size", None)
    if isinstance(size, int):
        return (size, size)
    return (int(size[0]), int(size[1])) if isinstance(size, tuple | list) and len(size) == 2 else None


def _drawn(net: nn.Module, place: int, shape: Sequence[int]) -> torch.Tensor:
    """Return standard normal numbers, of the precision that the network's own have."""
    dtype = next((tensor.dtype for tensor in net.parameters() if tensor.is_floating_point()), torch.float32)
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(SEED + place)).to(dtype)

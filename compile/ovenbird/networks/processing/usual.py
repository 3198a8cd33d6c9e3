"""The usual pre-processing of networks that say nothing of their own, and of built-in ones at other sizes.

pipelines_for(320, 320)["imagenet"]         # resize to 366, centre crop of 320, normalise
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovenbird.networks.sizes import scaled
from ovenbird_runtime.manifest.answers import Boxes
from ovenbird_runtime.manifest.steps import Normalise, Pipeline, imagenet, zoom_crop_pad

if TYPE_CHECKING:
    from ovenbird.models.recipe import ModelRecipe


def resized(recipe: ModelRecipe, height: int, width: int) -> dict[str, Pipeline]:
    """Return a recipe's pipelines for another square image size, its own normalisation kept; none for other shapes."""
    if isinstance(recipe.outputs[0], Boxes):
        base = (recipe.image_size, recipe.image_size)
        return {name: scaled(steps, base, (height, width)) for name, steps in recipe.pipelines.items()}
    normalise = next(step for step in next(iter(recipe.pipelines.values())) if isinstance(step, Normalise))
    return {
        name: tuple(normalise if isinstance(step, Normalise) else step for step in steps)
        for name, steps in pipelines_for(height, width).items()
    }


def pipelines_for(height: int, width: int) -> dict[str, Pipeline]:
    """Return ImageNet's pipelines for another image size; only square ones have them."""
    if height != width:
        return {}
    return {
        "imagenet": imagenet(height, round(height * 256 / 224)),
        "zoom-crop-pad": zoom_crop_pad(height, crop=min(100, height)),
    }

"""The usual pre-processing of networks that say nothing of their own.

pipelines_for(320, 320)["imagenet"]         # resize to 366, centre crop of 320, normalise
"""

from __future__ import annotations

from ovenbird_runtime.manifest.steps import Pipeline, imagenet, zoom_crop_pad


def pipelines_for(height: int, width: int) -> dict[str, Pipeline]:
    """Return ImageNet's pipelines for another image size; only square ones have them."""
    if height != width:
        return {}
    return {
        "imagenet": imagenet(height, round(height * 256 / 224)),
        "zoom-crop-pad": zoom_crop_pad(height, crop=min(100, height)),
    }

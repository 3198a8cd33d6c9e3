"""What an image weighs: the bytes of the files in it, unpacked.

image_bytes(builder, "ovenbird/resnet50:x86-64-v3")     # 187_000_000
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ovenbird.baking.builders import ImageBuilder


def image_bytes(builder: ImageBuilder, image: str) -> int:
    """Return an image's size: docker's and podman's own figure, or the sum of its files. Raises BakeFailed."""
    if builder.name != "buildah":
        return int(builder.inspect(image)["Size"])
    container = builder.run("from", "--pull-never", image).decode().strip()
    try:
        return tree_bytes(Path(builder.run("mount", container).decode().strip()))
    finally:
        builder.run("rm", container)


def tree_bytes(root: Path) -> int:
    """Return the bytes of all plain files below `root`; a file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for folder, _, names in os.walk(root):
        for name in names:
            status = os.lstat(Path(folder, name))
            if stat.S_ISREG(status.st_mode) and (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total

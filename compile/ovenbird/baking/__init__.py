"""Containers: from an artifact to an image with the runtime in it, by docker, podman or buildah.

from ovenbird.baking.bake import BakeOptions, bake

report = bake(Path("artifacts/resnet50"), BakeOptions(target="x86-64-v3"))
report.image, report.size_bytes
"""

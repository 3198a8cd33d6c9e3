"""The packages of networks, by their prefix.

PACKAGES["torchvision"].names()
"""

from __future__ import annotations

from ovenbird.models.packages.hugging_face import HUGGING_FACE
from ovenbird.models.packages.package import Package
from ovenbird.models.packages.timm import TIMM
from ovenbird.models.packages.torchvision import TORCHVISION

PACKAGES: dict[str, Package] = {package.prefix: package for package in (TORCHVISION, TIMM, HUGGING_FACE)}

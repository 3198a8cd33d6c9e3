"""Which networks are tried: every builder of torchvision's classifiers and segmenters, and a list of timm's.

chosen(["torchvision:resnet18", "convnext"], 1)         # by name, or by a word in it
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ovenbird.networks.torchvision import import_torchvision

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LISTS = Path(__file__).with_name("networks.toml")


def left_out() -> Mapping[str, str]:
    """Return the networks that are not tried, each with the reason."""
    found: Mapping[str, str] = tomllib.loads(LISTS.read_text(encoding="utf-8"))["left_out"]
    return found


def families() -> Mapping[str, Sequence[str]]:
    """Return timm's architectures, by family."""
    found: Mapping[str, Sequence[str]] = tomllib.loads(LISTS.read_text(encoding="utf-8"))["timm"]
    return found


def all_networks() -> list[str]:
    """Return the names of all networks that are tried, torchvision's first."""
    models = import_torchvision().models
    own = [name for kind in (models, models.segmentation) for name in models.list_models(module=kind)]
    names = [f"torchvision:{name}" for name in own] + [f"timm:{name}" for some in families().values() for name in some]
    return [name for name in names if name not in left_out()]


def chosen(words: Sequence[str], step: int) -> list[str]:
    """Return the networks that the words choose; of those every `step`th.

    A name with its prefix is that network, in the order given; it need not be in the lists. Then come the networks with
    another word in their name.
    """
    known = all_networks()
    if not words:
        return known[::step]
    named = [word for word in words if ":" in word]
    parts = [word for word in words if ":" not in word]
    return [*named, *(name for name in known if name not in named and any(part in name for part in parts))][::step]

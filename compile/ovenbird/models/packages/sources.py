"""What a package's sources say of its networks' names: a misspelt one is refused before torch is imported.

check_mentioned("torchvision", "resnet19")      # UnknownNetwork: torchvision has no 'resnet19'; did you mean resnet18?
"""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

from ovenbird.errors import UnknownNetwork, suggest

REGISTERED = re.compile(rb"^@register_model\b(?:.*\n)+?def (\w+)\(", re.MULTILINE)


def check_mentioned(package: str, name: str) -> None:
    """Refuse a name that is nowhere in the sources of an installed package's `models`. Raises UnknownNetwork.

    One that is there may be none of a network's: the package itself says so then.
    """
    texts = [path.read_bytes() for path in _sources(package)]
    whole = re.compile(rb"(?<!\w)" + re.escape(name.encode()) + rb"(?!\w)")
    if not texts or any(whole.search(text) for text in texts):
        return
    known = {found.decode() for text in texts for found in REGISTERED.findall(text)}
    raise UnknownNetwork(f"{package} has no {name!r}{suggest(name, sorted(known))}")


def _sources(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    places = (spec.submodule_search_locations if spec else None) or []
    return [path for place in places for path in sorted(Path(place, "models").rglob("*.py"))]

"""The networks the compiler knows by name: one file a model, found by its name, each holding one `MODEL` recipe.

    recipe("resnet50").build()      # the torch.nn.Module, without weights
    recipes()                       # {"densenet121": ModelRecipe(...), ...}

A new model is one new file here, or, of a detector, in `detectors/`. Nothing in them imports torch before `build`
is called, so that listing them is quick. A file whose name begins with an underscore is a helper, not a model.
"""

from __future__ import annotations

import importlib
import pkgutil

from ovenbird.errors import UnknownNetwork, suggest
from ovenbird.models.packages.captions.recipe import CaptionerRecipe
from ovenbird.models.recipe import ModelRecipe

ROOMS = ("", "detectors.")
"""Where models are, from here."""
CAPTIONERS = ("captioners.",)
"""Where those of several programs are."""


def model_names() -> list[str]:
    """Return the names of all built-in networks, sorted."""
    return sorted(_modules())


def captioner_names() -> list[str]:
    """Return the names of all built-in captioners, sorted."""
    return sorted(_modules(CAPTIONERS))


def captioner(name: str) -> CaptionerRecipe:
    """Return the recipe of a built-in captioner, one of those names."""
    loaded = importlib.import_module(_modules(CAPTIONERS)[name.replace("-", "_")]).MODEL
    assert isinstance(loaded, CaptionerRecipe)
    return loaded


def _modules(rooms: tuple[str, ...] = ROOMS) -> dict[str, str]:
    """Return the module of each built-in network by its name."""
    found = {}
    for room in rooms:
        path = [f"{folder}/{room.rstrip('.')}" for folder in __path__]
        for module in pkgutil.iter_modules(path):
            if not module.ispkg and not module.name.startswith("_") and module.name != "recipe":
                found[module.name] = f"{__name__}.{room}{module.name}"
    return found


def recipe(name: str) -> ModelRecipe:
    """Return the recipe of a built-in network. Raises UnknownNetwork with the names that are close."""
    names = _modules()
    module = name.replace("-", "_")
    if module not in names:
        raise UnknownNetwork(
            f"unknown model {name!r}{suggest(module, [*names, *captioner_names()]) or '.'} "
            "Give a built-in name (`ovenbird models`), "
            "torchvision:NAME, timm:NAME, hf:NAME, module:callable, a .pt2 file, an .onnx file or darknet's .cfg"
        )
    loaded = importlib.import_module(names[module]).MODEL
    assert isinstance(loaded, ModelRecipe)
    return loaded


def recipes() -> dict[str, ModelRecipe]:
    """Return every built-in network's recipe by name."""
    return {name: recipe(name) for name in model_names()}

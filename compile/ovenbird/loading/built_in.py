"""Networks that have a name of their own (`ovenbird models`), and darknet's, of which some do.

network = load_built_in(models.recipe("resnet50"), NetworkOptions())
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from ovenbird.errors import UsageError
from ovenbird.loading.options import NetworkOptions
from ovenbird.loading.torch_network import from_torch, with_classes
from ovenbird.models.recipe import ModelRecipe
from ovenbird.networks.network import Network
from ovenbird.networks.weights import apply_weights, parse_weights


def load_built_in(recipe: ModelRecipe, options: NetworkOptions) -> Network:
    """Return the network of a recipe. Raises WeightsError, NetworkError, UsageError."""
    import torch

    if recipe.cfg is not None:
        sides = (options.input_shapes or {}).get("image", ())[2:]
        size = options.size or (sides if len(sides) == 2 else None)
        network = load_cfg(recipe.cfg, recipe.name, replace(options, input_shapes=None, size=size))
        return replace(network, licence=recipe.licence)
    net = recipe.build()
    shape = (1, 3, *(options.size or (recipe.image_size, recipe.image_size)))
    if options.input_shapes:
        shape = cast("tuple[int, int, int, int]", options.input_shapes.get("image", shape))
        if len(shape) != 4 or shape[1] != 3 or set(options.input_shapes) != {"image"}:
            raise UsageError(f"--input-shapes: {recipe.name} takes image:[1,3,HEIGHT,WIDTH]")
    example = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    called = None if recipe.image_size == 224 else (net, (example,))
    weights = apply_weights(net, parse_weights(options.weights), recipe.weights, called)
    network = from_torch(recipe.whole(net), (example,), recipe.name, options)
    pipelines = recipe.pipelines_at(shape[2], shape[3])
    return replace(
        network,
        licence=recipe.licence,
        weights=weights,
        pipelines=pipelines,
        default_pipeline=next(iter(pipelines), None),
        postprocess=recipe.steps([spec.name for spec in network.outputs]),
        labels=recipe.labels(),
    )


def load_cfg(path: Path, name: str, options: NetworkOptions) -> Network:
    """Return the network of a darknet `.cfg`. Raises WeightsError, NetworkError, UsageError."""
    from ovenbird.networks.darknet.loading import load_darknet

    if options.input_shapes:
        raise UsageError(f"--input-shapes: {path} takes images; give --size HEIGHTxWIDTH")
    found = load_darknet(path, parse_weights(options.weights), options.size)
    network = found.described(from_torch(found.net, (found.example,), name, options))
    return network if found.classes is not None else with_classes(network, found.labels)

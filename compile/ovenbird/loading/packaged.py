"""Networks that an installed package brings: `torchvision:NAME`, `timm:NAME`, `hf:NAME`.

network = load_packaged(parse_reference("timm:mobilenetv3_small_050"), NetworkOptions())
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ovenbird.errors import UsageError
from ovenbird.loading.options import NetworkOptions
from ovenbird.loading.request import names_weights
from ovenbird.loading.torch_network import from_torch, with_classes
from ovenbird.networks.detection.answering import with_boxes
from ovenbird.networks.network import Network
from ovenbird.networks.reference import Reference
from ovenbird.networks.weights import EMBEDDED, apply_weights, parse_weights
from ovenbird_runtime.manifest.manifest import WeightsInfo


def load_packaged(reference: Reference, options: NetworkOptions) -> Network:
    """Return a package's network. Raises ExtraMissing, WeightsError, NetworkError, UsageError."""
    from ovenbird.models.packages.package import example
    from ovenbird.models.packages.table import PACKAGES

    if reference.arguments.positional:
        raise UsageError(f"{reference.text}: arguments by name, as in {reference.place}:NAME(num_classes=10)")
    found = PACKAGES[reference.place].load(reference.name, reference.arguments.keywords, options.size, options.weights)
    examples = dict(found.examples)
    for name, shape in (options.input_shapes or {}).items():
        if name not in examples:
            raise UsageError(f"--input-shapes: no input {name!r}, {reference.text} has {', '.join(examples)}")
        examples[name] = example(*shape)
    tensors = tuple(examples.values())
    choice = None if names_weights(reference, options) else parse_weights(options.weights)
    weights = apply_weights(found.net, choice, found.weights, (found.net, tensors), found.unused)
    options = replace(
        options,
        input_names=options.input_names or tuple(examples),
        output_names=options.output_names
        or (found.outputs if found.outputs and _returns_tensor(found.net, tensors) else ()),
    )
    network = from_torch(found.net, tensors, reference.model_name, options)
    pipelines = {reference.place: found.pipeline} if found.pipeline and not options.input_shapes else {}
    network = replace(
        network,
        licence=found.licence,
        weights=weights if weights != EMBEDDED else WeightsInfo(origin="package", detail=reference.text),
        pipelines=pipelines,
        default_pipeline=next(iter(pipelines), None),
    )
    if found.boxes is not None:
        return with_boxes(network, len(found.labels) or None, found.labels, **found.boxes)
    return with_classes(network, found.labels)


def _returns_tensor(net: Any, tensors: Sequence[Any]) -> bool:
    """Return whether a network returns one tensor, which has no name of its own."""
    import torch

    from ovenbird.networks.torch.steady import steady_torch

    with torch.no_grad(), steady_torch():
        return isinstance(net(*tensors), torch.Tensor)

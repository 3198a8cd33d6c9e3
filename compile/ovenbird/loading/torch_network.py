"""A torch module and its example inputs as a `Network`, traced at the shapes that were asked for.

network = from_torch(net, reshaped(net, examples, options), "mynets", options)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ovenbird.loading.options import NetworkOptions
from ovenbird.networks.describing import describe
from ovenbird.networks.image_shapes import image_shape
from ovenbird.networks.network import Network
from ovenbird_runtime.manifest.answers import LABELS, Classification


def from_torch(net: Any, examples: Any, name: str, options: NetworkOptions) -> Network:
    """Return a module, called with the examples, as a network. Raises NetworkUntraceable, UsageError."""
    from ovenbird.networks.torch.source import TorchSource
    from ovenbird.networks.torch.tracing import Traced

    traced = Traced.of(net, examples)
    names = options.input_names, options.output_names
    return describe(TorchSource(traced), name, traced.input_names, traced.output_names, *names)


def reshaped(net: Any, examples: Any, options: NetworkOptions) -> Any:
    """Return the example inputs in the shapes that `--input-shapes` or `--size` asks for: repeated, then cut."""
    from ovenbird.networks.torch.tracing import bind
    from ovenbird.networks.user.callables import reshape_examples

    shapes = dict(options.input_shapes or {})
    if options.size is not None:
        names, tensors, _ = bind(net, examples)
        found = {name: tuple(tensor.shape) for name, tensor in zip(names, tensors, strict=True)}
        shapes = image_shape(found, options.size) | shapes
    return reshape_examples(net, examples, shapes) if shapes else examples


def with_classes(network: Network, labels: tuple[str, ...]) -> Network:
    """Return the network with its first output answered as classes, where it is one number a class."""
    spec = network.outputs[0]
    if len(spec.shape) != 2 or spec.name != "logits":
        return network
    fitting = labels if len(labels) == spec.shape[-1] else ()
    step = Classification(output=spec.name, labels=LABELS if fitting else None)
    return replace(network, postprocess=(step,), labels=fitting)

"""What the word MODEL on the command line can be, and how each becomes a `Network`.

load_network("resnet50")                        # a built-in name
load_network("mynets:detector")                 # a callable, a class or a module: nn.Module, or (nn.Module, examples)
load_network("nets/mine.py:build(size=320)")
load_network("net.pt2"), load_network("net.onnx"), load_network("yolov3-tiny.cfg")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ovenbird import models
from ovenbird.errors import UsageError
from ovenbird.loading.built_in import load_built_in
from ovenbird.loading.options import NOTHING_SAID, NetworkOptions, with_document
from ovenbird.loading.own import load_callable, load_file
from ovenbird.loading.packaged import load_packaged
from ovenbird.loading.request import check_request
from ovenbird.networks.composite import Composite, compose
from ovenbird.networks.network import Network
from ovenbird.networks.processing.applying import apply_processing
from ovenbird.networks.reference import Reference, ReferenceKind, parse_reference
from ovenbird.networks.sizes import at_sizes

NO_PIXELS = "how pictures become its input is not said: --preprocess imagenet, or a file next to the network"


def load_network(model: str, options: NetworkOptions = NOTHING_SAID) -> Network:
    """Load what MODEL names, which is to be one network. Raises as `load_model` does."""
    return only_network(load_model(model, options), model)


def only_network(found: Network | Composite, model: str) -> Network:
    """Return a model that is one network, named `model` in the error of another. Raises UsageError."""
    if isinstance(found, Composite):
        raise UsageError(
            f"{model} has several programs ({', '.join(found.programs)}): only `ovenbird compile` and "
            "`ovenbird verify` take it"
        )
    return found


def load_model(model: str, options: NetworkOptions = NOTHING_SAID) -> Network | Composite:
    """Load what MODEL names. Raises UnknownNetwork, UsageError, and any WeightsError or NetworkError."""
    check_request(model, options)
    reference = parse_reference(model, options.arguments)
    options, note = with_document(reference, options)
    if options.image_sizes:
        height, width = options.image_sizes[0]
        options = replace(options, size=(height, width))
    network = LOADERS[reference.kind](reference, options)
    if isinstance(network, Composite):
        return replace(network, given_name=options.name or "")
    network = apply_processing(network, options.processing)
    if options.image_sizes:
        network = at_sizes(network, options.image_sizes)
    notes = (*network.notes, *((note,) if note else ()))
    if network.pipelines and network.default_pipeline is None and options.preprocess != "none":
        notes = (*notes, NO_PIXELS)
    return replace(network, given_name=options.name or "", notes=notes)


def _load_named(reference: Reference, options: NetworkOptions) -> Network | Composite:
    if reference.model_name in models.captioner_names():
        recipe = models.captioner(reference.model_name)
        found = recipe.load(options.weights)
        return compose(found.programs, recipe.name, found.weights)
    return load_built_in(models.recipe(reference.name), options)


LOADERS: Mapping[ReferenceKind, Callable[[Reference, NetworkOptions], Network | Composite]] = {
    "built-in": _load_named,
    "package": load_packaged,
    "file": load_file,
    "callable": load_callable,
}
"""By what a reference is."""

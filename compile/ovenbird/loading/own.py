"""Networks of the user's own: an ONNX file, a `.pt2` file, darknet's `.cfg`, a callable of theirs.

network = load_file(parse_reference("net.onnx"), NetworkOptions())
network = load_callable(parse_reference("mynets:detector"), NetworkOptions())
"""

from __future__ import annotations

from dataclasses import replace

from ovenbird.errors import NetworkUntraceable, UsageError
from ovenbird.loading.built_in import load_cfg
from ovenbird.loading.options import NetworkOptions
from ovenbird.loading.torch_network import from_torch, reshaped
from ovenbird.networks.composite import Composite, compose
from ovenbird.networks.describing import describe
from ovenbird.networks.network import Network
from ovenbird.networks.processing.usual import pipelines_for
from ovenbird.networks.programs import Programs
from ovenbird.networks.reference import CFG, Reference
from ovenbird.networks.weights import EMBEDDED, apply_weights, parse_weights


def load_file(reference: Reference, options: NetworkOptions) -> Network:
    """Return the network in a file. Raises NetworkError, UsageError."""
    path, name = reference.path, reference.model_name
    if path.suffix.lower() == CFG:
        return load_cfg(path, name, options)
    if path.suffix.lower() == ".onnx":
        from ovenbird.networks.onnx.source import OnnxSource

        source = OnnxSource.read(path, options.input_shapes or {}, options.size).with_true_batch()
        names = options.input_names, options.output_names
        network = describe(source, name, source.input_names, source.output_names, *names)
        return with_pipelines(replace(network, metadata=source.metadata))
    from ovenbird.networks.user.callables import read_pt2

    net, examples = read_pt2(path, options.trust)
    return with_pipelines(from_torch(net, reshaped(net, examples, options), name, options))


def load_callable(reference: Reference, options: NetworkOptions) -> Network | Composite:
    """Return what a callable of the user's gives. Raises NetworkError, WeightsError, UsageError."""
    from ovenbird.networks.user.assumed_inputs import assume_inputs
    from ovenbird.networks.user.callables import load_user
    from ovenbird.networks.user.named_inputs import name_inputs

    name = reference.model_name
    loaded, note = load_user(reference), ""
    if isinstance(loaded, Programs):
        if options.weights is not None:
            raise UsageError(f"--weights is for one network; {reference.text} brings the weights of its programs")
        return compose(loaded, name, EMBEDDED)
    found = loaded
    net, examples = found.net, found.examples
    if examples is None:
        examples, note = assume_inputs(reference.text, net, options.input_shapes or {}, options.size)
    else:
        net, examples = name_inputs(net, examples)
        examples = reshaped(net, examples, options)
    try:
        weights = apply_weights(found.net, parse_weights(options.weights), None, (net, examples))
        network = from_torch(net, examples, name, options)
    except NetworkUntraceable as error:
        if not note:
            raise
        raise NetworkUntraceable(f"{error} (assumed: {note})") from error
    return with_pipelines(replace(network, weights=weights, notes=(note,) if note else ()))


def with_pipelines(network: Network) -> Network:
    """Return a network of colour images with ImageNet's pre-processing at its size, for whoever asks for it."""
    image = network.image_input
    if image is None or image.shape[1] != 3:
        return network
    return replace(network, pipelines=pipelines_for(int(image.shape[2]), int(image.shape[3])))

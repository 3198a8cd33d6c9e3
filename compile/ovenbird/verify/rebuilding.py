"""From an artifact back to the network it was compiled from, for `ovenbird verify`.

network = rebuild(manifest, model=None, options=NetworkOptions(weights="resnet50.pth"))
"""

from __future__ import annotations

import dataclasses

from ovenbird.errors import UsageError, VerificationFailed
from ovenbird.models import model_names
from ovenbird.networks.loading import NetworkOptions, load_network
from ovenbird.networks.network import Network
from ovenbird.networks.sizes import program_of
from ovenbird_runtime.artifact.artifact import Artifact
from ovenbird_runtime.manifest.manifest import Manifest
from ovenbird_runtime.manifest.program import Program, size_text
from ovenbird_runtime.manifest.steps import output_size


def rebuild(manifest: Manifest, model: str | None, options: NetworkOptions) -> Network:
    """Load the network of an artifact, with its weights. Raises UsageError, VerificationFailed for another network."""
    name, weights = manifest.model.name, manifest.model.weights
    if model is None:
        if name not in model_names():
            raise UsageError(f"{name} is not a built-in network; give --model, as you gave it to compile")
        model = name
    if options.weights is None and model in model_names():
        if weights.origin == "random":
            options = dataclasses.replace(options, weights=f"random:{weights.seed}")
        elif weights.origin == "file":
            raise UsageError(
                f"the artifact's weights came from a file ({weights.detail}); give it again: --weights FILE"
            )
    program = manifest.program()
    if program.sizes:
        options = dataclasses.replace(options, image_sizes=options.image_sizes or program.image_sizes)
    elif options.input_shapes is None and model in model_names():
        shapes = {spec.name: spec.with_batch(1) for spec in manifest.inputs}
        options = dataclasses.replace(options, input_shapes=shapes)
    network = load_network(model, options)
    network = _with_pipelines(network, program)
    rebuilt = program_of(network)
    if (rebuilt.inputs, rebuilt.outputs, rebuilt.sizes) != (program.inputs, program.outputs, program.sizes):
        raise VerificationFailed(
            f"{model} has other inputs or outputs than the artifact; was it compiled from another?"
        )
    if network.digest != manifest.model.source_digest:
        raise VerificationFailed(
            f"{model} with these weights is not what the artifact was compiled from "
            f"(source {network.digest[:12]}, the artifact's is {manifest.model.source_digest[:12]})"
        )
    return network


def _with_pipelines(network: Network, program: Program) -> Network:
    """Return the network with the artifact's own pre-processing, at each of its image sizes."""
    pipelines, default = dict(program.preprocess.pipelines), program.preprocess.default
    sizes = {}
    for size, one in network.sizes.items():
        own = {name: steps for name, steps in pipelines.items() if output_size(steps) == size}
        plain = {name.removesuffix(f"-{size_text(size)}"): steps for name, steps in own.items()}
        sizes[size] = dataclasses.replace(one, pipelines=plain)
    return dataclasses.replace(network, pipelines=pipelines, default_pipeline=default, sizes=sizes)


def entry_sizes(artifact: Artifact) -> tuple[int, ...]:
    """Return every batch size that some variant has code for, ascending."""
    targets = [artifact.read_target(variant) for variant in artifact.manifest.variants]
    return tuple(sorted({entry.batch for target in targets for entry in target.entries}))

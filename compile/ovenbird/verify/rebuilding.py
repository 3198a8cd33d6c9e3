"""From an artifact back to the network it was compiled from, for `ovenbird verify`.

network = rebuild(manifest, model=None, options=NetworkOptions(weights="resnet50.pth"))
rebuild_model(manifest, "nets/mine.py:captioner", NetworkOptions()).programs      # also of several programs
"""

from __future__ import annotations

import dataclasses

from ovenbird.errors import UsageError, VerificationFailed
from ovenbird.loading.load import load_model, only_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.models import captioner_names, model_names
from ovenbird.networks.composite import Composite
from ovenbird.networks.network import Network
from ovenbird.networks.sizes import program_of
from ovenbird_runtime.artifact.artifact import Artifact
from ovenbird_runtime.manifest.manifest import Manifest
from ovenbird_runtime.manifest.program import Program, size_text
from ovenbird_runtime.manifest.steps import output_size


def rebuild(manifest: Manifest, model: str | None, options: NetworkOptions) -> Network:
    """Load the network of an artifact of one program. Raises as `rebuild_model`, and UsageError for several."""
    found = rebuild_model(manifest, model, options)
    return only_network(found, found.model_name)


def rebuild_model(manifest: Manifest, model: str | None, options: NetworkOptions) -> Network | Composite:
    """Load the model of an artifact, with its weights. Raises UsageError, VerificationFailed for another."""
    name, weights = manifest.model.name, manifest.model.weights
    built_in = {*model_names(), *captioner_names()}
    if model is None:
        if name not in built_in:
            raise UsageError(f"{name} is not a built-in network; give --model, as you gave it to compile")
        model = name
    if options.weights is None and model in built_in:
        if weights.origin == "random":
            options = dataclasses.replace(options, weights=f"random:{weights.seed}")
        elif weights.origin == "file":
            raise UsageError(
                f"the artifact's weights came from a file ({weights.detail}); give it again: --weights FILE"
            )
    if len(manifest.programs) > 1:
        return _several(manifest, model, options)
    program = manifest.program()
    if program.sizes:
        options = dataclasses.replace(options, image_sizes=options.image_sizes or program.image_sizes)
    elif options.input_shapes is None and model in model_names():
        shapes = {spec.name: spec.with_batch(1) for spec in manifest.inputs}
        options = dataclasses.replace(options, input_shapes=shapes)
    network = load_model(model, options)
    if isinstance(network, Composite):
        raise VerificationFailed(f"{model} has several programs, the artifact has one; was it compiled from another?")
    network = _with_pipelines(network, program)
    _check_tensors(model, network, program)
    _check_source(model, network, manifest)
    return network


def _several(manifest: Manifest, model: str, options: NetworkOptions) -> Composite:
    found = load_model(model, options)
    if not isinstance(found, Composite) or set(found.programs) != set(manifest.programs):
        own = ", ".join(found.programs)  # a network's only one is called main
        raise VerificationFailed(
            f"{model} has the programs {own}, the artifact {', '.join(manifest.programs)}; "
            "was it compiled from another?"
        )
    programs = {name: _with_pipelines(network, manifest.programs[name]) for name, network in found.programs.items()}
    for name, network in programs.items():
        _check_tensors(model, network, manifest.programs[name])
    found = dataclasses.replace(found, programs=programs)
    _check_source(model, found, manifest)
    return found


def _check_tensors(model: str, network: Network, program: Program) -> None:
    rebuilt = program_of(network)
    if (rebuilt.inputs, rebuilt.outputs, rebuilt.sizes) != (program.inputs, program.outputs, program.sizes):
        raise VerificationFailed(
            f"{model} has other inputs or outputs than the artifact; was it compiled from another?"
        )


def _check_source(model: str, network: Network | Composite, manifest: Manifest) -> None:
    if network.digest != manifest.model.source_digest:
        raise VerificationFailed(
            f"{model} with these weights is not what the artifact was compiled from "
            f"(source {network.digest[:12]}, the artifact's is {manifest.model.source_digest[:12]})"
        )


def _with_pipelines(network: Network, program: Program) -> Network:
    """Return the network with the artifact's own pre-processing, at each of its image sizes."""
    pipelines, default = dict(program.preprocess.pipelines), program.preprocess.default
    sizes = {}
    for size, one in network.sizes.items():
        own = {name: steps for name, steps in pipelines.items() if output_size(steps) == size}
        plain = {name.removesuffix(f"-{size_text(size)}"): steps for name, steps in own.items()}
        sizes[size] = dataclasses.replace(one, pipelines=plain)
    return dataclasses.replace(network, pipelines=pipelines, default_pipeline=default, sizes=sizes)


def entry_sizes(artifact: Artifact) -> dict[str, tuple[int, ...]]:
    """Return every batch size that some variant has code for, ascending, by program."""
    targets = [artifact.read_target(variant) for variant in artifact.manifest.variants]
    entries = [entry for target in targets for entry in target.entries]
    return {
        name: tuple(sorted({entry.batch for entry in entries if entry.program == name}))
        for name in artifact.manifest.programs
    }

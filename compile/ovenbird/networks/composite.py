"""A model of several programs, ready to be compiled: a `Network` for each, and what the manifest says of them all.

    model = compose(programs, "git_base_textcaps", weights)
    model.programs["step"].relax(4)
    model.batches("step", (1, 8))               # its own batch sizes, or those asked for

What compiles, writes and verifies goes by `programs` and `batches`, which a plain `Network` has as well.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ovenbird.errors import NetworkUnreadable
from ovenbird.networks.network import Network
from ovenbird.networks.programs import ProgramPart, Programs
from ovenbird.networks.sizes import program_of
from ovenbird_runtime.artifact.names import check_model_name
from ovenbird_runtime.errors import ManifestInvalid
from ovenbird_runtime.manifest.generation import KeptState, TextLoop, check_generation
from ovenbird_runtime.manifest.manifest import WeightsInfo

PIPELINE = "default"


@dataclass(frozen=True)
class Composite:
    """Several programs of one model."""

    name: str
    licence: str
    weights: WeightsInfo
    programs: dict[str, Network]
    own_batches: dict[str, tuple[int, ...]]
    states: dict[str, KeptState]
    loop: TextLoop | None
    files: dict[str, bytes]
    version: str = "1"
    given_name: str = ""
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def model_name(self) -> str:
        """The model's name, for the manifest, routes and labels."""
        return check_model_name(self.given_name or self.name)

    def batches(self, program: str, wanted: Sequence[int]) -> tuple[int, ...]:
        """Return the batch sizes to compile a program for."""
        return self.programs[program].compiled_batches(self.own_batches[program] or wanted)

    @property
    def digest(self) -> str:
        """The sha256 of the graphs and weights of all programs."""
        each = "".join(f"{name} {one.digest}\n" for name, one in self.programs.items())
        return hashlib.sha256(each.encode()).hexdigest()

    @property
    def framework(self) -> str:
        """The name of what the reference answers come from."""
        return next(iter(self.programs.values())).framework


def compose(programs: Programs, name: str, weights: WeightsInfo) -> Composite:
    """Trace every part. Raises NetworkError, and NetworkUnreadable for states and a loop that do not fit the parts."""
    networks = {key: _network(part, key, f"{name} {key}") for key, part in programs.parts.items()}
    files = {key: _read(path) for key, path in programs.files.items()}
    described = {key: program_of(network) for key, network in networks.items()}
    try:
        check_generation(described, programs.states, programs.loop, files, name)
    except ManifestInvalid as error:
        raise NetworkUnreadable(str(error)) from None
    batches = {key: part.batch_sizes for key, part in programs.parts.items()}
    return Composite(name, programs.licence, weights, networks, batches, dict(programs.states), programs.loop, files)


def _network(part: ProgramPart, key: str, name: str) -> Network:
    from ovenbird.networks.describing import describe
    from ovenbird.networks.torch.source import PartSource
    from ovenbird.networks.torch.tracing import Traced

    traced = Traced.of(part.module, part.examples)
    network = describe(PartSource(traced), name, traced.input_names, traced.output_names)
    if not network.batched:
        raise NetworkUnreadable(f"{key} is no program of rows: the first dimension of its tensors must be a batch")
    if part.pipeline:
        network = replace(network, pipelines={PIPELINE: part.pipeline}, default_pipeline=PIPELINE)
    return network


def _read(path: Path | bytes) -> bytes:
    if isinstance(path, bytes):
        return path
    try:
        return path.read_bytes()
    except OSError as error:
        raise NetworkUnreadable(f"{path}: {error.strerror}") from None

"""Everything the engines need of one network, written once into a folder, in a process of its own.

    python -m ovenbird.benchmarking.preparing REQUEST.json

writes `artifact/` (and `artifact-untuned/`), `model-bN.onnx`, `inputs-bN.npz`, `reference-bN.npz` (torch's answers),
`artifact.layers.json` and, last, `network.json`. An error is one line of JSON in `error.json`. What is there
already and was made by the same compiler from the same network is kept: a second benchmark starts at once.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ovenbird.backends.optimisations import Optimisation
from ovenbird.benchmarking.jobs import (
    ARTIFACT_FOLDER,
    NETWORK_FILE,
    UNTUNED_FOLDER,
    inputs_file,
    onnx_file,
    reference_file,
)
from ovenbird.benchmarking.quantized_onnx import quantize_onnx
from ovenbird.errors import NetworkUntraceable, WeightsUnavailable
from ovenbird.networks.onnx.files.exporting import export_onnx
from ovenbird.quantize.evidence import CALIBRATION
from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.manifest.agreement import Precision

if TYPE_CHECKING:
    from ovenbird.loading.options import NetworkOptions
    from ovenbird.networks.network import Network
    from ovenbird.process.progress import Progress

ERROR_FILE, LAYERS_FILE = "error.json", "layers.json"
FALLBACK_WEIGHTS = "random:0"
SEED = 20_26


@dataclass(frozen=True)
class PrepareRequest:
    """What to prepare: one network (a name, `module:callable`, a file, an artifact's folder) at some batch sizes.

    `network`: what an artifact was compiled from, where that is no built-in network. `precision`: of all engines; in
    int8, ours is quantized as `compile` does it, and the ONNX file for the peers by ONNX Runtime's quantizer.
    `without`: optimisations that our compiler leaves out.
    """

    folder: str
    model: str
    batch_sizes: tuple[int, ...]
    image_size: int | None = None
    weights: str | None = None
    target: str = "host"
    records: str | None = None
    untuned: bool = False
    onnx: bool = True
    quiet: bool = False
    trust: bool = False
    network: str | None = None
    precision: Precision = "f32"
    without: tuple[Optimisation, ...] = ()


def network_options(facts: dict[str, Any]) -> NetworkOptions:
    """Return the options that build this network again, from a request or from `network.json`."""
    from ovenbird.loading.options import NetworkOptions

    size = facts["image_size"]
    return NetworkOptions(
        weights=facts["weights"],
        size=(size, size) if size is not None else None,
        trust=facts["trust"],
    )


def prepare(request: PrepareRequest, step: Progress) -> dict[str, Any]:
    """Write the folder and return what `network.json` says. Raises any CompilerError."""
    folder = Path(request.folder)
    folder.mkdir(parents=True, exist_ok=True)
    kept = _read(folder / NETWORK_FILE)
    facts: dict[str, Any] = {
        "model": request.model, "image_size": request.image_size, "weights": request.weights, "trust": request.trust
    }  # fmt: skip
    step(f"loading {request.model}")
    artifact = Path(request.model)
    if (artifact / "manifest.json").is_file():
        network = _of_artifact(artifact, request, facts)
    else:
        network = _load(facts)
    facts |= {
        "name": network.name,
        "random": network.weights.random,
        "weights_detail": network.weights.detail,
        "framework": network.source.framework,
        "batched": network.batched,
        "source": network.source.digest(),
        "onnx": {},
        "precision": request.precision,
    }
    _compile(request, network, facts, kept, step)
    same = kept.get("source") == facts["source"]
    for batch in request.batch_sizes:
        step(f"writing inputs, reference and ONNX file for batch {batch}")
        if not (same and reference_file(folder, batch).is_file()):
            _write_arrays(folder, network, batch)
        if request.onnx:
            why = kept.get("onnx", {}).get(str(batch)) if same and str(batch) in kept.get("onnx", {}) else None
            if why is None:
                why = _write_onnx(folder, network, batch)
                if not why and facts["precision"] == "int8" and not facts["came_quantized"]:
                    why = quantize_onnx(onnx_file(folder, batch), network, reference_rows(folder, batch))
            facts["onnx"][str(batch)] = why
    (folder / NETWORK_FILE).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def _load(facts: dict[str, Any]) -> Network:
    """Load the network; where its own weights can be neither found nor fetched, with random ones, which time alike."""
    from ovenbird.loading.load import load_network

    try:
        return load_network(facts["model"], network_options(facts))
    except WeightsUnavailable:
        if facts["weights"] is not None:
            raise
        facts["weights"] = FALLBACK_WEIGHTS
        return load_network(facts["model"], network_options(facts))


def _of_artifact(artifact: Path, request: PrepareRequest, facts: dict[str, Any]) -> Network:
    """Build the network that an artifact was compiled from, and time that artifact."""
    from ovenbird.verify.rebuilding import rebuild
    from ovenbird_runtime.artifact.artifact import open_artifact

    manifest = open_artifact(artifact).manifest
    network = rebuild(manifest, request.network, network_options(facts))
    facts["artifact"], facts["model"] = str(artifact.resolve()), request.network or manifest.model.name
    if request.weights is None and manifest.model.weights.random:
        facts["weights"] = f"random:{manifest.model.weights.seed}"
    image = network.image_input
    if image is not None and image.shape[1] == 3 and image.shape[2] == image.shape[3]:
        facts["image_size"] = image.shape[2]
    return network


def _compile(
    request: PrepareRequest, network: Network, facts: dict[str, Any], kept: dict[str, Any], step: Progress
) -> None:
    """Compile the artifacts that are asked for and not there yet; note how many layers were tuned."""
    folder = Path(request.folder)
    facts |= {"tuned": None, "untuned_folder": False, "stamps": {}, "compiled": {}, "came_quantized": False}
    if "artifact" in facts:
        _note_precision(Path(facts["artifact"]), facts)
        return
    facts["artifact"] = str((folder / ARTIFACT_FOLDER).resolve())
    facts["tuned"] = _compile_one(request, network, ARTIFACT_FOLDER, request.records, facts, kept, step)
    if request.untuned and facts["tuned"]["tuned"]:
        _compile_one(request, network, UNTUNED_FOLDER, "none", facts, kept, step)
        facts["untuned_folder"] = True
    _note_precision(Path(facts["artifact"]), facts)


def _note_precision(artifact: Path, facts: dict[str, Any]) -> None:
    """Note what the artifact computes in: what comes quantized is int8 without being asked for."""
    from ovenbird_runtime.artifact.artifact import open_artifact

    opened = open_artifact(artifact).manifest
    found = {variant.precision for variant in opened.variants}
    if facts["precision"] not in found:
        facts["precision"] = opened.variants[0].precision
    facts["came_quantized"] = facts["precision"] == "int8" and CALIBRATION not in opened.files


def _compile_one(
    request: PrepareRequest,
    network: Network,
    name: str,
    records: str | None,
    facts: dict[str, Any],
    kept: dict[str, Any],
    step: Progress,
) -> dict[str, Any]:
    from ovenbird.compiling import compile_network
    from ovenbird.options import CompileOptions
    from ovenbird.records.tuning_records import records_folder
    from ovenbird.targets import load_target

    output = Path(request.folder) / name
    chosen = records_folder(records, network.name, load_target(request.target), request.precision)
    stamp = _stamp(facts["source"], " ".join((request.target, request.precision, *request.without)), chosen)
    current = kept.get("stamps", {}).get(name) == stamp and (output / "manifest.json").is_file()
    there = kept["compiled"][name] if current else []
    batches = sorted({*there, *request.batch_sizes})
    facts["stamps"][name], facts["compiled"][name] = stamp, batches
    if batches == there:
        tuning: dict[str, Any] = json.loads((output / "manifest.json").read_text(encoding="utf-8"))["tuning"]
        return _counts(*tuning.values())
    options = CompileOptions(
        targets=(request.target,),
        batch_sizes=tuple(batches),
        tuning_records=records,
        precisions=(request.precision,),
        without=frozenset(request.without),
    )
    report = compile_network(network, output, options, step)
    (records_of_layers,) = report.layers.values()
    layers = {layer.name: dataclasses.asdict(layer) for layer in records_of_layers}
    (output.parent / f"{name}.{LAYERS_FILE}").write_text(json.dumps(layers, indent=2) + "\n", encoding="utf-8")
    return _counts(*report.manifest.tuning.values())


def _counts(tuning: dict[str, Any]) -> dict[str, Any]:
    return {key: tuning[key] for key in ("tuned", "default", "stale")}


def _stamp(source: str, target: str, records: Path | None) -> str:
    """Name what code depends on apart from batch sizes: the network, the target, the compiler's files, the records."""
    taken = hashlib.sha256(f"{source} {target}\n".encode())
    package = Path(__file__).parents[1]
    files = [path for path in sorted(package.rglob("*.py")) if Path(__file__).parent not in path.parents]
    if records is not None:
        files += sorted(path for path in records.rglob("*") if path.is_file())
    for path in files:
        taken.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return taken.hexdigest()


def _write_arrays(folder: Path, network: Network, batch: int) -> None:
    """Write seeded random inputs like the network's examples, and what the framework makes of them."""
    from ovenbird.verify.cases import random_like

    random = np.random.default_rng(SEED)
    inputs = {name: random_like(array, random) for name, array in network.examples(batch).items()}
    given: dict[str, Any] = dict(inputs)
    answers: dict[str, Any] = dict(network.reference(inputs))
    np.savez(inputs_file(folder, batch), **given)
    np.savez(reference_file(folder, batch), **answers)


def reference_rows(folder: Path, batch: int) -> dict[str, Any]:
    """Return the inputs that engines are compared on."""
    with np.load(inputs_file(folder, batch), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _write_onnx(folder: Path, network: Network, batch: int) -> str:
    """Export the network with fixed shapes, as the peers like it best; return the reason where that cannot be done."""
    path = onnx_file(folder, batch)
    if network.source.framework != "torch":
        import shutil

        shutil.copyfile(json.loads((folder / NETWORK_FILE).read_text())["model"], path)
        return ""
    try:
        export_onnx(network, path, batch)
    except NetworkUntraceable as error:  # the peers that need it are left out
        return str(error)
    return ""


def main(arguments: list[str]) -> int:
    """Prepare what the request file asks for."""
    from ovenbird.process.progress import Progress

    facts = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    request = PrepareRequest(**facts | {name: tuple(facts.get(name, ())) for name in ("batch_sizes", "without")})
    try:
        with Progress.choose(request.quiet) as progress:
            prepare(request, progress)
    except OvenbirdError as error:
        text = json.dumps({"error": type(error).__name__, "message": str(error)})
        (Path(request.folder) / ERROR_FILE).write_text(text, encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

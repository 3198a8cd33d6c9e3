"""Load an artifact and use it: `load`, then `predict` (images in) or `run` (tensors in).

model = load("artifacts/resnet50")
model.inputs                            # (TensorSpec(name="image", dtype="float32", shape=("N", 3, 224, 224)),)
model.predict("photo.jpg")[0].top       # (ClassScore(index=281, label="tabby", confidence=0.61), ...)
model.run({"image": batch})["logits"]   # float32 [N, 1000], any N >= 1
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from .arguments import whole
from .artifact.artifact import Artifact, open_artifact
from .artifact.variant import choose_variant
from .engine.inputs import NanPolicy, check_inputs
from .engine.loading import EngineName, load_code
from .errors import EngineCallFailed, LibraryMissing, MachineError, NoVariant, OvenbirdError
from .limits import MAX_IMAGE_MEGAPIXELS, MAX_THREADS, MAX_WORKERS
from .machine.cpu import available_threads, this_machine
from .machine.devices import Device, parse_devices
from .manifest.agreement import Precision
from .manifest.answers import label_count, labels_of
from .manifest.manifest import Manifest, Program, Target, TensorSpec, VariantRef
from .manifest.program import InputSize
from .options import TILE_OVERLAP, PredictOptions, fresh_seed, with_aliases
from .tensors.arrays import Array

if TYPE_CHECKING:
    from .engine.learning import Lanes
    from .engine.processors import ProcessorShare
    from .generation.wordpiece import WordPieces
    from .generation.writer import TextWriter
    from .photographs.ahead import ImageFailed, ImagesDone
    from .postprocess.prediction import Prediction
    from .preprocess.preprocessor import Preprocessor


class Model:
    """A loaded network, safe to use from several threads; `close()` or `with` lets go of its memory."""

    def __init__(
        self,
        artifact: Artifact,
        target: Target,
        engine: Any,
        threads: int,
        labels: dict[str, tuple[str, ...]],
        device: Device,
        preprocessor: Preprocessor,
        engine_name: str = "tvm",
        pieces: WordPieces | None = None,
    ) -> None:
        """Made by `load`."""
        self.engine = engine_name
        """Who runs the code: "tvm", "native", or "remote"."""
        self.preprocessor = preprocessor
        self.device = str(device)
        self.artifact, self.target, self.threads, self.labels = artifact, target, threads, labels
        self._engine = engine
        self._pieces = pieces
        self._writer = None if pieces is None else _text_writer(engine, artifact.manifest, pieces)

    @property
    def manifest(self) -> Manifest:
        """Everything that the artifact says about itself."""
        return self.artifact.manifest

    @property
    def name(self) -> str:
        """The network's name."""
        return self.manifest.model.name

    @property
    def programs(self) -> Mapping[str, Program]:
        """The model's programs by name: what each takes and gives."""
        return self.manifest.programs

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The inputs of the only program, with name, dtype, layout and shape: "N" is any batch; "H", "W" and "?" follow
        the image size.

        Raises UnknownProgram where there are several: `programs` describes each.
        """
        return self.manifest.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The outputs of the only program, described as the inputs are. Raises as `inputs` does."""
        return self.manifest.outputs

    def run(self, inputs: Mapping[str, Any], nan: NanPolicy = "refuse", program: str | None = None) -> dict[str, Array]:
        """Run a program, the only one unless it is named, on named arrays of one batch size N >= 1 and return its named
        outputs, arrays of the caller's own.

        Arrays may lie anyhow in memory and are converted within their kind (float64 to float32, int32 to
        int64 where the values fit). `nan="refuse"` raises NotFinite where an input holds NaN or infinity;
        `nan="allow"` feeds them to the network. Raises UnknownProgram, WrongInputNames, WrongShape, WrongDtype,
        NotFinite, EngineError.
        """
        name = self.manifest.program_name(program)
        batch, arrays = check_inputs(self.programs[name].inputs, inputs, nan)
        return self.run_checked(batch, arrays, program=name)

    def predict(
        self,
        images: Any,
        preprocess: str | None = None,
        top: int = PredictOptions.top,
        seed: int | None = None,
        embedding: bool = False,
        *,
        max_megapixels: float = MAX_IMAGE_MEGAPIXELS,
        score: float | None = None,
        iou: float | None = None,
        max_boxes: int | None = None,
        classes: Any = None,
        agnostic: bool | None = None,
        image_size: Any = None,
        tiles: Any = None,
        tile_overlap: float = TILE_OVERLAP,
        prompt: str | None = None,
        max_tokens: int | None = None,
        beams: int | None = None,
        jobs: int = 0,
        progress: ImagesDone | None = None,
        failed: ImageFailed | None = None,
        **aliases: Any,
    ) -> list[Prediction]:
        """Pre-process images, run the network, and return one prediction an image, in order.

        `images` is one image or a list of them, each a path, the bytes of a file, a PIL image or a uint8
        array [height, width(, channels)]; or one uint8 array [N, height, width, channels]. `preprocess` names
        a pipeline of the manifest (default: the manifest's own), `seed` makes its random steps repeatable,
        `top` is how many classes to give, `embedding=True` adds the embedding's vector to its statistics.

        Of boxes, `score`, `iou`, `max_boxes` and `agnostic` change the model's own settings, and `classes` (labels or
        indices, one or several) leaves out all others; a model without boxes refuses them. `tiles`, a side in pixels,
        looks for boxes in pieces of the image as well, which share `tile_overlap` of it; "network" is the size of the
        network's input. `image_size` chooses among the sizes that the model was compiled for. Of a model that writes
        text, `prompt` is what it goes on from, `max_tokens` how many tokens may follow, `beams` how many sequences are
        searched through.

        `jobs` threads open and pre-process the next images while the network runs (0: none); `progress` is called with
        how many images are done, and of how many. Where `failed` is given, it is called with the place in `images` and
        the error of each that cannot be read or prepared, and the others are answered. `aliases` are other names of
        these, Ultralytics' (`conf`, `max_det`, `agnostic_nms`, `imgsz`).
        Raises ImageError, PipelineError, WrongOption, EngineError.
        """
        # Only now: a process that runs tensors needs none of it, and starts the sooner.
        from .photographs.ahead import Pace
        from .predicting.predict import predict, sources_of, with_sources

        sources, lost = sources_of(images), set[int]()

        def note(place: int, error: OvenbirdError) -> None:
            assert failed is not None
            lost.add(place)
            failed(place, error)

        pace = Pace(jobs, progress, None if failed is None else note)
        seed = fresh_seed() if seed is None else seed
        asked = {"score": score, "iou": iou, "max_boxes": max_boxes, "classes": classes, "agnostic": agnostic}
        asked |= {"image_size": image_size, "tiles": tiles, "tile_overlap": tile_overlap}
        asked |= {"prompt": prompt, "max_tokens": max_tokens, "beams": beams}
        options = PredictOptions(preprocess, top, seed, embedding, **with_aliases(asked, aliases))
        if self._writer is not None:
            from .predicting.captions import predict_texts

            texts = (self.manifest, self._writer, images, options)
            found = predict_texts(*texts, preprocessor=self.preprocessor, max_megapixels=max_megapixels, pace=pace)
        else:
            given = (self.manifest, self.labels, self.run, images, options)
            if tiles is None:
                found = predict(*given, preprocessor=self.preprocessor, max_megapixels=max_megapixels, pace=pace)
            else:
                from .predicting.tiled import predict_tiled

                found = predict_tiled(*given, preprocessor=self.preprocessor, max_megapixels=max_megapixels, pace=pace)
        return with_sources(found, [source for place, source in enumerate(sources) if place not in lost])

    def text_writer(self, slots: int) -> TextWriter | None:
        """Return what writes texts, with memory of its own for up to `slots` sequences at a time; None where the model
        writes none.
        """
        return None if self._pieces is None else _text_writer(self._engine, self.manifest, self._pieces, slots)

    @property
    def sizes(self) -> tuple[InputSize, ...]:
        """The image sizes (height, width) that the only program was compiled for, the usual one first; one that is
        empty where it takes no images, or those of one size.
        """
        return self.manifest.picture_program.image_sizes

    def costs_of(self, size: InputSize = ()) -> dict[int, float | None]:
        """Return what each compiled batch size of the only program costs in ms for images of one size, by which
        batches are composed; None: not measured yet.

        A caller that measures on this machine (the server does) may write its figures there.
        """
        costs: dict[int, float | None] = self._engine.costs_of(self.manifest.program_name(), size)
        return costs

    @property
    def costs(self) -> dict[int, float | None]:
        """What `costs_of` returns for the usual image size."""
        return self.costs_of(self.sizes[0])

    def lanes_of(self, size: InputSize = ()) -> Lanes:
        """Return how many calls at a time share the threads best; count 0 where one after the other is faster."""
        lanes: Lanes = self._engine.lanes_of(self.manifest.program_name(), size)
        return lanes

    @property
    def lanes(self) -> Lanes:
        """What `lanes_of` returns for the usual image size."""
        return self.lanes_of(self.sizes[0])

    def slowdown_of(self, size: InputSize = ()) -> float:
        """Return how many times as long as `costs_of` says calls take of late."""
        slowdown: float = self._engine.slowdown_of(self.manifest.program_name(), size)
        return slowdown

    @property
    def share(self) -> ProcessorShare:
        """The model's part of this process's processors: who promises answers in time says so there."""
        share: ProcessorShare = self._engine.share
        return share

    def run_checked(
        self, batch: int, arrays: Mapping[str, Array], crowded: bool = False, program: str | None = None
    ) -> dict[str, Array]:
        """Do what `run` does with arrays that `arrays.check_inputs` gave, `batch` rows each. Raises UnknownProgram,
        EngineError.

        `crowded`: other calls are there or about to come, with which this one shares the threads.
        """
        try:
            result: dict[str, Array] = self._engine.run(batch, arrays, crowded, self.manifest.program_name(program))
        except MemoryError:
            raise EngineCallFailed(f"there is no memory for the outputs of {batch} images: give fewer") from None
        return result

    def release_unused(self) -> None:
        """Let go of memory that is kept for later calls: what a batch size took that will not be run again."""
        self._engine.release_unused()

    def close(self) -> None:
        """Stop the model's threads; later calls raise EngineCallFailed."""
        self._engine.close()

    def __enter__(self) -> Model:
        """Return the model itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __reduce__(self) -> NoReturn:
        """Refuse to be copied or sent to another process. Raises TypeError."""
        raise TypeError(f"{self!r} cannot be copied or pickled, its threads and code are this one's: load it there")

    def __repr__(self) -> str:
        """Name the model, its target and its threads."""
        return f"<ovenbird_runtime.Model {self.name} for {self.target.target}, {self.threads} threads>"


def load(
    path: str | os.PathLike[str],
    device: str = "cpu",
    threads: int | None = None,
    *,
    workers: int = 1,
    public_key: str | os.PathLike[str] | None = None,
    target: str | None = None,
    precision: Precision | None = None,
    engine: EngineName | None = None,
) -> Model:
    """Load the artifact in folder `path`, choosing the variant that fits this machine and `device`.

    `device` is "cpu", "cuda", "cuda:1" ..., or several, first choice first: "cuda,cpu" takes the processor where there
    is no driver, no GPU or no code for it, and only then. `model.device` says which it was.
    `threads` are used by one call (default: the CPUs this process really has, by affinity and container
    quota, shared among the workers); `workers` calls run at the same time, others wait. Every file that is
    used is checked against the manifest first, and the manifest against a signature by one of the Ed25519 keys in the
    PEM file `public_key` (default: the file that $OVENBIRD_REQUIRE_SIGNATURE names; without it none is needed).
    `target` names the target whose code to use instead of the best one, `precision` that of its arithmetic, "f32",
    "f16", "bf16" or "int8"; `model.target` says which they are.
    `engine` is "tvm", TVM's virtual machine, or "native", the C++ runtime (default: $OVENBIRD_ENGINE; without it the
    C++ runtime where the package `ovenbird_native` is installed and the code has a plan); `model.engine` says which.
    Raises ArtifactError, MachineError, EngineError, WrongOption, KeyUnreadable.
    """
    threads = None if threads is None else whole("threads", threads, 1, MAX_THREADS)
    workers = whole("workers", workers, 1, MAX_WORKERS)
    devices = parse_devices(device)
    artifact = open_artifact(path, public_key)
    chosen, variant, needs = _choose(artifact, devices, target, precision)
    share = max(1, available_threads() // workers) if threads is None else threads
    code = load_code(artifact, chosen, variant, needs, public_key, engine, meanwhile=_import_the_rest)
    from .engine.engine import Engine
    from .preprocess.preprocessor import Preprocessor

    labels, pieces = read_labels(artifact), _read_pieces(artifact)
    preprocessor = Preprocessor(code.host_function(needs.resample), code.host_function(needs.resample_linear))
    made = Engine(code, share, workers)
    return Model(artifact, needs, made, share, labels, chosen, preprocessor, code.engine, pieces)


def _import_the_rest() -> None:
    """Import what `load` needs once the code is there."""
    from .engine import engine  # noqa: F401
    from .preprocess import preprocessor  # noqa: F401


def _text_writer(engine: Any, manifest: Manifest, pieces: WordPieces, *slots: int) -> TextWriter:
    from .generation.writer import TextWriter  # few models write texts

    return TextWriter(engine, manifest, pieces, *slots)


def _read_pieces(artifact: Artifact) -> WordPieces | None:
    """Read the vocabulary of a model that writes texts; None for another. Raises FileChanged."""
    if artifact.manifest.loop is None:
        return None
    from .generation.writer import read_pieces

    return read_pieces(artifact)


def _choose(
    artifact: Artifact, devices: tuple[Device, ...], name: str | None, precision: Precision | None
) -> tuple[Device, VariantRef, Target]:
    """Choose the first device that has a variant and what it needs. Raises MachineError, LibraryMissing."""
    reasons: list[MachineError | LibraryMissing] = []
    for device in devices:
        try:
            variant, target = choose_variant(artifact, device, this_machine(), name, precision)
            if device.kind.libraries:  # those of the processor are loaded while the files are checked
                from .engine.ffi import import_for

                import_for(device)
            return device, variant, target
        except (MachineError, LibraryMissing) as error:
            reasons.append(error)
    if len(reasons) == 1:
        raise reasons[0]
    raise NoVariant("no device can be used: " + "; ".join(f"{d}: {r}" for d, r in zip(devices, reasons, strict=True)))


def read_labels(artifact: Artifact) -> dict[str, tuple[str, ...]]:
    """Read the labels of each output that has some. Raises LabelsMismatch, FileChanged."""
    found = {}
    for program in artifact.manifest.programs.values():
        outputs = {spec.name: spec for spec in program.outputs}
        for step in program.postprocess:
            name = labels_of(step)
            if name is not None:
                found[step.output] = artifact.read_labels(name, label_count(step, outputs))
    return found

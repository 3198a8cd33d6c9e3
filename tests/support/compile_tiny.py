"""Compile a tiny convolutional network for real, with TVM, and write it as an artifact: run as a program of
its own.

    python tests/support/compile_tiny.py OUTPUT_DIR [SEED] [coupled]

The network: image float32 [N, 3, 32, 32] -> 3x3 convolution, ReLU -> `embedding` [N, 8], the mean over all
places -> matrix product -> `logits` [N, 5]. Batches 1 and 4. Weights are random by SEED; the
golden outputs are what numpy makes of it. `coupled` adds to each row the mean over the batch, so that an answer tells
what else was in the batch, padding included.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import tvm
from tvm import relax

from ovenbird_runtime.artifact.golden import write_golden
from ovenbird_runtime.machine.cpu import this_machine
from ovenbird_runtime.machine.versions import TVM_FFI_VERSION, TVM_VERSION
from ovenbird_runtime.manifest import manifest as m
from ovenbird_runtime.manifest.steps import imagenet, zoom_crop_pad

SIDE, CLASSES, FEATURES = 32, 5, 8
SHAPES = {"kernel": (FEATURES, 3, 3, 3), "matrix": (FEATURES, CLASSES)}


def build(batch: int, coupled: bool = False) -> tuple[str, relax.Function]:
    """Return the network as a Relax function `main_b<batch>` of (image, kernel, matrix)."""
    builder, name = relax.BlockBuilder(), f"main_b{batch}"
    image = relax.Var("image", relax.TensorType((batch, 3, SIDE, SIDE), "float32"))
    kernel, matrix = (relax.Var(n, relax.TensorType(s, "float32")) for n, s in SHAPES.items())
    with builder.function(name, [image, kernel, matrix]):
        with builder.dataflow():
            hidden = builder.emit(relax.op.nn.relu(relax.op.nn.conv2d(image, kernel, padding=1)))
            embedding = builder.emit(relax.op.mean(hidden, axis=[2, 3]))
            if coupled:
                embedding = builder.emit(relax.op.add(embedding, relax.op.mean(embedding, axis=0, keepdims=True)))
            logits = builder.emit(relax.op.matmul(embedding, matrix))
            result = builder.emit_output(relax.Tuple([logits, embedding]))
        builder.emit_func_output(result)
    return name, builder.get()


def reference(
    image: np.ndarray, kernel: np.ndarray, matrix: np.ndarray, coupled: bool = False
) -> dict[str, np.ndarray]:
    """Do in numpy, in float64, what the network does."""
    padded = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    hidden = np.maximum(np.einsum("nchwij,fcij->nfhw", windows, kernel.astype(np.float64)), 0)
    embedding = hidden.mean(axis=(2, 3))
    if coupled:
        embedding = embedding + embedding.mean(axis=0, keepdims=True)
    return {"logits": embedding @ matrix, "embedding": embedding}


def write_variant(folder: Path, module: tvm.IRModule, weights: dict[str, np.ndarray]) -> None:
    """Compile functions `main_b1` and `main_b4`, and write code, target.json and weights into `folder`."""
    executable = tvm.compile(module, target=tvm.target.Target({"kind": "llvm"}))
    variant = folder / "targets" / "tiny"
    variant.mkdir(parents=True)
    executable.export_library(str(variant / "model.so"))

    blob, tensors = b"", []
    for array in weights.values():
        tensors.append((len(blob), str(array.dtype), array.shape))
        blob += array.tobytes()
        blob += b"\0" * (-len(blob) % 64)
    weights_name = f"weights/{hashlib.sha256(blob).hexdigest()}.bin"
    (folder / "weights").mkdir()
    (folder / weights_name).write_bytes(blob)
    target = m.Target(
        schema_version=2,
        target="tiny",
        precision="f32",
        kind="llvm",
        triple="native",
        arch=this_machine().arch,  # type: ignore[arg-type]
        cpu_features=(),
        glibc="2.17",
        tvm=TVM_VERSION,
        tvm_ffi=TVM_FFI_VERSION,
        alignment=64,
        vector_bits=128,
        entries=tuple(m.Entry("main", batch, (), f"main_b{batch}", tuple(range(len(tensors)))) for batch in (1, 4)),
        tensors=tuple(m.WeightTensor(weights_name, offset, dtype, shape) for offset, dtype, shape in tensors),
    )
    (variant / "target.json").write_bytes(m.target_bytes(target))


def write_artifact(folder: Path, seed: int, coupled: bool = False) -> None:
    """Compile, and write the artifact into `folder`."""
    rng = np.random.default_rng(seed)
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
    module = tvm.IRModule()
    for batch in (1, 4):
        name, built = build(batch, coupled)
        for variable, function in built.functions.items():
            if variable.name_hint == name:
                module[variable.name_hint] = function
    write_variant(folder, module, weights)
    (folder / "labels.txt").write_text("".join(f"class {i}\n" for i in range(CLASSES)))
    image = rng.standard_normal((4 if coupled else 2, 3, SIDE, SIDE)).astype(np.float32)
    answer = {name: a.astype(np.float32) for name, a in reference(image, **weights, coupled=coupled).items()}
    (folder / "evidence").mkdir()
    write_golden(folder / "evidence" / "golden.npz", {"image": image}, answer)
    write_manifest(folder, seed)


def write_manifest(folder: Path, seed: int) -> None:
    """Seal what is in `folder` with a manifest."""
    files = {
        path.relative_to(folder).as_posix(): m.file_record(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    sealed = m.seal(
        m.Manifest(
            schema_version=2,
            model=m.ModelInfo("tiny", "1", "none", "Apache-2.0", m.WeightsInfo("random", "", True, seed)),
            programs={
                "main": m.Program(
                    inputs=(m.TensorSpec("image", "float32", ("N", 3, SIDE, SIDE), "NCHW"),),
                    outputs=(
                        m.TensorSpec("logits", "float32", ("N", CLASSES)),
                        m.TensorSpec("embedding", "float32", ("N", FEATURES)),
                    ),
                    preprocess=m.Preprocess(
                        "imagenet",
                        {"imagenet": imagenet(SIDE, 40), "zoom-crop-pad": zoom_crop_pad(SIDE, crop=20)},
                    ),
                    postprocess=(
                        m.Classification(output="logits", labels="labels.txt"),
                        m.Vector(output="embedding"),
                    ),
                )
            },
            parity=m.Parity(0, 2, {"main": m.ProgramParity({"logits": 0.0, "embedding": 0.0}, 1e-3, 1.0)}),
            tuning={},
            variants=(m.VariantRef("tiny", "targets/tiny"),),
            files=files,
        )
    )
    (folder / "manifest.json").write_bytes(sealed)


if __name__ == "__main__":
    write_artifact(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, "coupled" in sys.argv[3:])

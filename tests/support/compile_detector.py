"""Compile a toy detector for real, with TVM, and write it as an artifact: run as a program of its own.

    python tests/support/compile_detector.py OUTPUT_DIR

The network: image float32 [N, 3, 48, 64] of 0 to 1 -> the candidates of `PLANTED`, in pixels of the image, their scores
times the largest value of its image; so a black image has no boxes. Batches 1 and 4. The pre-processing letterboxes
within black, or stretches.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from compile_tiny import write_variant
from planted_boxes import LABELS, PLANTED
from tvm import relax

from ovenbird_runtime.artifact.golden import write_golden
from ovenbird_runtime.manifest import manifest as m
from ovenbird_runtime.manifest.steps import Normalise, Resize, letterbox

HEIGHT, WIDTH = 48, 64
MASK_SIDE, POINTS = 4, 2


def planted() -> dict[str, np.ndarray]:
    """Return the network's weights: what it answers of a white image, one row."""
    mask = np.zeros((len(PLANTED), MASK_SIDE, MASK_SIDE), np.float32)
    mask[:, :, : MASK_SIDE // 2] = 0.9  # the left half
    corners = np.stack([PLANTED[:, 0:2], PLANTED[:, 2:4]], axis=1)
    points = np.concatenate([corners, np.full((len(PLANTED), POINTS, 1), 0.5)], axis=2)
    found = {"boxes": PLANTED[:, :4], "scores": PLANTED[:, 4], "classes": PLANTED[:, 5].astype(np.int32)}
    found |= {"masks": mask, "keypoints": points.astype(np.float32)}
    return {name: np.ascontiguousarray(array)[None] for name, array in found.items()}


def build(batch: int) -> tuple[str, relax.Function]:
    """Return the network as a Relax function `main_b<batch>` of the image and the weights."""
    builder, name = relax.BlockBuilder(), f"main_b{batch}"
    weights = planted()
    image = relax.Var("image", relax.TensorType((batch, 3, HEIGHT, WIDTH), "float32"))
    arguments = {n: relax.Var(n, relax.TensorType(a.shape, str(a.dtype))) for n, a in weights.items()}
    with builder.function(name, [image, *arguments.values()]):
        with builder.dataflow():
            rows: dict[str, Any] = {
                n: builder.emit(relax.op.broadcast_to(arguments[n], (batch, *a.shape[1:]))) for n, a in weights.items()
            }
            brightest = builder.emit(relax.op.max(image, axis=[1, 2, 3]))
            column = builder.emit(relax.op.reshape(brightest, (batch, 1)))
            rows["scores"] = builder.emit(relax.op.multiply(rows["scores"], column))
            result = builder.emit_output(relax.Tuple(list(rows.values())))
        builder.emit_func_output(result)
    return name, builder.get()


def write_artifact(folder: Path) -> None:
    """Compile, and write the artifact into `folder`."""
    module = tvm.IRModule()
    for batch in (1, 4):
        name, built = build(batch)
        for variable, function in built.functions.items():
            if variable.name_hint == name:
                module[variable.name_hint] = function
    weights = planted()
    write_variant(folder, module, weights)
    (folder / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    (folder / "evidence").mkdir()
    write_golden(folder / "evidence" / "golden.npz", {"image": np.ones((1, 3, HEIGHT, WIDTH), np.float32)}, weights)
    normalise = Normalise()
    sealed = m.seal(
        m.Manifest(
            schema_version=2,
            model=m.ModelInfo("toy-detector", "1", "none", "Apache-2.0", m.WeightsInfo("embedded", "", False)),
            programs={
                "main": m.Program(
                    inputs=(m.TensorSpec("image", "float32", ("N", 3, HEIGHT, WIDTH), "NCHW"),),
                    outputs=tuple(
                        m.TensorSpec(name, str(array.dtype), ("N", *array.shape[1:]))  # type: ignore[arg-type]
                        for name, array in weights.items()
                    ),
                    preprocess=m.Preprocess(
                        "letterbox",
                        {
                            "letterbox": (*letterbox((HEIGHT, WIDTH), value=0), normalise),
                            "stretch": (Resize(exact=(HEIGHT, WIDTH), interpolation="opencv-linear"), normalise),
                        },
                    ),
                    postprocess=(m.Boxes(masks="masks", keypoints="keypoints", labels="labels.txt"),),
                )
            },
            parity=m.Parity(0, 1, {"main": m.ProgramParity(dict.fromkeys(weights, 0.0), 1e-3, None)}),
            tuning={},
            variants=(m.VariantRef("tiny", "targets/tiny"),),
            files={
                path.relative_to(folder).as_posix(): m.file_record(path)
                for path in sorted(folder.rglob("*"))
                if path.is_file()
            },
        )
    )
    (folder / "manifest.json").write_bytes(sealed)


if __name__ == "__main__":
    write_artifact(Path(sys.argv[1]))

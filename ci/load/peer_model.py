"""What the other servers share: ONNX Runtime on the same network, the same pre-processing, the same answer.

model = OnnxModel("build/load/resnet50.onnx")
model.predict([jpeg])           # [{"classes": [...], "mean": ..., "variance": ...}]
"""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


class OnnxModel:
    """A session on all processors of this process."""

    def __init__(self, path: str) -> None:
        """Load the network."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = len(os.sched_getaffinity(0))
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    @staticmethod
    def tensor(data: bytes) -> np.ndarray[Any, Any]:
        """Decode and pre-process one picture as the artifact's default pipeline does."""
        image = Image.open(io.BytesIO(data)).convert("RGB")
        scale = 256 / min(image.size)
        image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BILINEAR)
        left, top = (image.width - 224) // 2, (image.height - 224) // 2
        pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
        return np.ascontiguousarray(((pixels / 255 - MEAN) / STD).transpose(2, 0, 1))

    def run(self, batch: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
        """Run a batch; return each image's best two classes and its embedding's statistics."""
        logits, embedding = self.session.run(["logits", "embedding"], {"image": batch})
        wide = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = wide / wide.sum(axis=1, keepdims=True)
        best = np.argsort(-shares, axis=1)[:, :2]
        return [
            {
                "classes": [{"index": int(i), "confidence": float(share[i])} for i in order],
                "mean": float(vector.mean()),
                "variance": float(vector.var()),
            }
            for share, order, vector in zip(shares, best, embedding, strict=True)
        ]

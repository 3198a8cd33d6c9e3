"""`cv2.dnn` for darknet's files: its own reader, its own decoding, and the suppression that its users write.

run = OpenCVDarknet(cfg, weights, threads=2)
run.boxes(jpeg, Settings(0.25, 0.45, 100))
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from peer import Back, Boxes, Settings, suppressed

from ovenbird_runtime.tensors.arrays import Array


class OpenCVDarknet:
    """A darknet detector of OpenCV 4."""

    def __init__(self, cfg: Path, weights: Path, side: tuple[int, int], threads: int) -> None:
        cv2.setNumThreads(threads)
        self._net = cv2.dnn.readNetFromDarknet(str(cfg), str(weights))
        self._net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        self._outputs = self._net.getUnconnectedOutLayersNames()
        self._side = side

    def run(self, blob: Array) -> list[Array]:
        """Return rows of each head: centre, size, whether there is anything, and a score a class."""
        self._net.setInput(blob)
        found: list[Array] = self._net.forward(self._outputs)
        return found

    def boxes(self, jpeg: bytes, settings: Settings) -> Boxes:
        """Return the boxes of a photograph."""
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        blob = cv2.dnn.blobFromImage(image, 1 / 255, self._side[::-1], swapRB=True)
        return self.detect(blob, image.shape[1::-1], settings)

    def detect(self, blob: Array, size: tuple[int, int], settings: Settings) -> Boxes:
        """Return the boxes of a tensor that shows a photograph of `size`: width, height."""
        rows = np.concatenate(self.run(blob))
        classes = rows[:, 5:].argmax(1)
        scores = rows[np.arange(len(rows)), 5 + classes]
        good = scores > settings.score
        centres, half = rows[good, :2], rows[good, 2:4] / 2
        sides = np.tile(np.array(size, np.float32), 2)
        corners = np.concatenate([centres - half, centres + half], 1) * sides
        return suppressed(corners, scores[good], classes[good], Back(np.zeros(4), np.ones(4), sides), settings)

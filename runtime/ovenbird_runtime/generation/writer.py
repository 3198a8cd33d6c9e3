"""What writes the texts of a loaded model: its generator, its vocabulary, and what may be asked of them.

writer = TextWriter(engine, manifest, vocabulary, slots=16)
request = writer.request(prompt="what is this", beams=4)
writer.write(pictures, request)             # one answer a picture; several threads may ask, one after the other
"""

from __future__ import annotations

import threading
from typing import Any

from ..artifact.artifact import Artifact
from ..errors import FileChanged
from ..limits import MAX_VOCABULARY_BYTES
from ..manifest.manifest import Manifest
from ..postprocess.text import TextAnswer
from ..tensors.arrays import Array
from .generator import Generator, run_all
from .text import TextRequest, text_of, text_request
from .wordpiece import WordPieces

SLOTS = 16
"""Sequences at a time for one caller, who may ask for a folder of pictures."""


class TextWriter:
    """Writes texts for pictures."""

    def __init__(self, engine: Any, manifest: Manifest, pieces: WordPieces, slots: int = SLOTS) -> None:
        """Of a model that has a loop."""
        assert manifest.loop is not None
        self.loop, self.pieces = manifest.loop, pieces
        self.generator = Generator(engine, manifest.programs, manifest.states, manifest.loop, slots)
        self._lock = threading.Lock()

    def request(
        self, prompt: str | None = None, max_tokens: int | None = None, beams: int | None = None
    ) -> TextRequest:
        """Return how a text is to be searched for. Raises WrongOption."""
        return text_request(self.loop, self.pieces, prompt, max_tokens, beams, self.generator.widest)

    def write(self, pictures: Array, request: TextRequest) -> list[TextAnswer]:
        """Return the text of each picture [N, ...], as the first program takes them. Raises EngineError."""
        with self._lock:
            found = run_all(self.generator, self.generator.prepare(pictures), request)
        return [text_of(self.pieces, tokens, self.loop) for tokens in found]


def read_pieces(artifact: Artifact) -> WordPieces | None:
    """Read the vocabulary of a model with a loop; None for another. Raises FileChanged."""
    loop = artifact.manifest.loop
    if loop is None:
        return None
    name = loop.vocabulary.file
    try:
        text = artifact.read(name, MAX_VOCABULARY_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FileChanged(f"{name} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    lines = text.removesuffix("\n").split("\n")
    return WordPieces([line.removesuffix("\r") for line in lines], loop.hidden, loop.vocabulary.lower_case)

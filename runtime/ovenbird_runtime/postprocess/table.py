"""The kinds of answer, by the step that gives them, in the order in which they are printed.

KINDS[type(step)].answers(step, outputs, asked)
"""

from __future__ import annotations

from ..manifest.answers import AnswerStep, Boxes, Classification, Ctc, Raw, Vector
from .boxes import BOXES
from .classes import CLASSES
from .embedding import EMBEDDINGS
from .kind import Kind
from .raw import RAW
from .text import TEXTS

KINDS: dict[type[AnswerStep], Kind] = {
    Classification: CLASSES,
    Vector: EMBEDDINGS,
    Boxes: BOXES,
    Ctc: TEXTS,
    Raw: RAW,
}

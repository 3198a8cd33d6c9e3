"""Operators that no compiled network can have, each refused with the way out."""

from __future__ import annotations

from typing import Any

from ovenbird.errors import UnsupportedOperator
from ovenbird.networks.torch.converters.converter import Converter
from ovenbird.networks.torch.graph.refusing import NUMBER


def refuse(why: str) -> Converter:
    """Return a converter that refuses; the importer adds the user's line."""

    def convert(node: Any, importer: Any) -> Any:
        raise UnsupportedOperator(why)

    return convert


BRANCH = "torch.cond runs one of two branches by a value of the image; compute both and choose with torch.where"
LOOP = "while_loop runs as often as a value of the image says; write its steps out, or end the network before it"
FOURIER = (
    "torch.fft gives complex numbers, which are not known; multiply by matrices of cosines and sines instead, or "
    "leave the transform to what prepares the input"
)
BOXES = (
    "how many boxes nms keeps depends on the image; return boxes and scores as they are before it, or call "
    "ovenbird.suppression.padded_nms, which gives a fixed number of rows and how many of them count"
)

LENGTH = (
    "how many elements a mask takes depends on the values of the inputs; mark places by a mask and torch.where, or "
    "take a fixed number by topk"
)

CHANCE = (
    "random numbers differ from call to call; pass them as an input, or switch to eval() what draws them in training"
)
DRAWS = (
    "bernoulli.default",
    "bernoulli.p",
    "exponential.default",
    "multinomial.default",
    "native_dropout.default",
    "normal_functional.default",
    "rand.default",
    "rand_like.default",
    "randint.default",
    "randint.low",
    "randint_like.default",
    "randint_like.low_dtype",
    "randn.default",
    "randn_like.default",
    "randperm.default",
    "uniform.default",
)
"""torch's operators that draw random numbers."""

REFUSALS: dict[str, Converter] = {
    **dict.fromkeys(DRAWS, refuse(CHANCE)),
    "_fft_c2c.default": refuse(FOURIER),
    "_fft_c2r.default": refuse(FOURIER),
    "_fft_r2c.default": refuse(FOURIER),
    "_local_scalar_dense.default": refuse(NUMBER),
    "cond": refuse(BRANCH),
    "nms.default": refuse(BOXES),
    **dict.fromkeys(("sym_float", "sym_int", "sym_ite", "sym_max", "sym_min", "sym_not"), refuse(NUMBER)),
    "true_places.default": refuse(LENGTH),
    "while_loop": refuse(LOOP),
}

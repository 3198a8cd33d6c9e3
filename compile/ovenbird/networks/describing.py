"""From a source to a Network: the names, dtypes and shapes of what it takes and gives.

describe(source, "mine", ("x",), ("logits",)).inputs       # (TensorSpec("x", "float32", ("N", 3, 224, 224), "NCHW"),)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, cast

from ovenbird.errors import NetworkUnreadable, UsageError
from ovenbird.networks.any_batch import any_batch
from ovenbird.networks.network import ArrayForm, Network, NetworkSource
from ovenbird.networks.weights import EMBEDDED
from ovenbird_runtime.manifest.manifest import TensorSpec

DTYPES = (
    "float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool",
)  # fmt: skip


def describe(
    source: NetworkSource,
    name: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    input_names: Sequence[str] = (),
    output_names: Sequence[str] = (),
) -> Network:
    """Return the Network around a source: names, the source's own or those given, dtypes and shapes, the batch written
    as "N". Raises UsageError, NetworkUnreadable.
    """
    inputs = _renamed("--input-names", inputs, input_names)
    outputs = _renamed("--output-names", outputs, output_names)
    source = any_batch(source)
    arrays = source.examples(1)
    if source.batched:
        # an input whose length does not follow the batch has none
        follows = [one.shape != two.shape for one, two in zip(arrays, source.examples(2), strict=True)]
    else:
        follows = [False] * len(arrays)
    return Network(
        name=name,
        version="1",
        licence="as the network given",
        weights=EMBEDDED,
        inputs=tuple(_spec(n, (a.shape, a.dtype), b) for n, a, b in zip(inputs, arrays, follows, strict=True)),
        outputs=tuple(_spec(n, form, source.batched) for n, form in zip(outputs, source.answer_forms(), strict=True)),
        source=source,
    )


def _renamed(option: str, found: Sequence[str], given: Sequence[str]) -> list[str]:
    if given and len(given) != len(found):
        raise UsageError(f"{option} gives {len(given)} names, the network has {len(found)}: {', '.join(found)}")
    names = [
        re.sub(r"[^A-Za-z0-9_.:/\-]", "_", name).lstrip(".:/-") or f"tensor{i}" for i, name in enumerate(given or found)
    ]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two tensors are named {name!r}; name each of them with {option}")
    return names


def _spec(name: str, form: ArrayForm, batched: bool) -> TensorSpec:
    dtype = str(form[1])
    if dtype not in DTYPES:
        raise NetworkUnreadable(f"{name} is {dtype}, known are {', '.join(DTYPES)}")
    shape = tuple(int(dim) for dim in form[0])
    image = len(shape) == 4 and shape[1] == 3
    return TensorSpec(
        name=name, dtype=cast(Any, dtype), shape=("N", *shape[1:]) if batched else shape, layout="NCHW" if image else ""
    )

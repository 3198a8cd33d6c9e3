"""A network whose file fixes its batch at one row, made one that takes any number of rows.

source = any_batch(OnnxSource.read(Path("net.onnx"), {}))
source.batched, source.one_row

Where the framework itself runs the same graph on two rows and gives what it gives for each alone, the batch is opened,
and code is compiled for larger batches too. Elsewhere rows go through one by one (`RowSource`): what that gives for N
rows needs no proof, it is what the network gives for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ovenbird.errors import NetworkUnreadable
from ovenbird.networks.network import ArrayForm, NetworkSource
from ovenbird_runtime.manifest.agreement import LIMITS, compare
from ovenbird_runtime.manifest.program import InputSize
from ovenbird_runtime.tensors.arrays import Array

if TYPE_CHECKING:
    import tvm

RECIPE = "export it with a dynamic batch for code of larger ones"


@dataclass
class RowSource:
    """A network of one row, called once for each."""

    source: NetworkSource
    batched: bool = True
    one_row: bool = True

    @property
    def framework(self) -> str:
        """What the reference answers come from."""
        return self.source.framework

    def relax(self, batch: int | None) -> tvm.IRModule:
        """Return the module of one row, the only one there is."""
        if batch not in (1, None):
            raise ValueError(f"batch {batch} of a network that takes one row")
        return self.source.relax(None)

    def reference(self, inputs: list[Array]) -> list[Array]:
        """Run the network on each row. Raises NetworkUnreadable where answers differ in size."""
        rows = [has_one_row(example) for example in self.source.examples(1)]
        count = max(array.shape[0] for array, follows in zip(inputs, rows, strict=True) if follows)
        answers = [
            self.source.reference(
                [array[row : row + 1] if follows else array for array, follows in zip(inputs, rows, strict=True)]
            )
            for row in range(count)
        ]
        found = [[part.shape[1:] for part in parts] for parts in zip(*answers, strict=True)]
        for number, shapes in enumerate(found):
            if differing := [shape for shape in shapes if shape != shapes[0]]:
                raise NetworkUnreadable(
                    f"output {number} is {list(shapes[0])} of one input and {list(differing[0])} of another: how much "
                    "the network gives depends on what it is given; end it before (for NonMaxSuppression: --decode nms)"
                )
        return [np.concatenate(parts) for parts in zip(*answers, strict=True)]

    @property
    def concurrent(self) -> bool:
        """Whether threads may call the network at once."""
        return self.source.concurrent

    def answer_forms(self) -> list[ArrayForm]:
        """Return the shapes and dtypes of the answers to one row."""
        return self.source.answer_forms()

    def closer(self, inputs: list[Array]) -> None:
        """Say that there is nothing closer: only files of other frameworks are so."""
        return

    def examples(self, batch: int) -> list[Array]:
        """Return the examples, their only row repeated to `batch`."""
        return [np.repeat(array, batch, axis=0) if has_one_row(array) else array for array in self.source.examples(1)]

    def digest(self) -> str:
        """Return the sha256 of graph and weights."""
        return self.source.digest()

    def resized(self, size: InputSize) -> NetworkSource:
        """Return the network for images of another size."""
        return any_batch(self.source.resized(size))

    def opened(self) -> None:
        """Say that the batch cannot be opened."""
        return


def any_batch(source: NetworkSource) -> NetworkSource:
    """Return the network for any number of rows, where it is one of rows at all; else the source as it is."""
    if source.batched:
        return source
    examples = source.examples(1)
    if not any(map(has_one_row, examples)) or not all(map(has_one_row, source.reference(examples))):
        return source
    opened = source.opened()
    return opened if opened is not None and keeps_rows_apart(source, opened) else RowSource(source)


def has_one_row(array: Array) -> bool:
    """Return whether an array's first dimension is 1."""
    return array.ndim > 0 and array.shape[0] == 1


def keeps_rows_apart(source: NetworkSource, opened: NetworkSource) -> bool:
    """Return whether the framework gives for two rows at once what it gives for each of them alone."""
    first = source.examples(1)
    second = [np.flip(array.reshape(-1)).reshape(array.shape) if has_one_row(array) else array for array in first]
    both = [np.concatenate(rows) if has_one_row(rows[0]) else rows[0] for rows in zip(first, second, strict=True)]
    try:
        alone = [source.reference(inputs) for inputs in (first, second)]
        together = opened.reference(both)
    except Exception:  # noqa: BLE001 - a batch that is fixed shows itself in any way it likes
        return False
    return all(
        given.shape == (2, *one.shape[1:]) and not compare(given, np.concatenate([one, two]), LIMITS["f32"]).fault
        for one, two, given in zip(*alone, together, strict=True)
    )

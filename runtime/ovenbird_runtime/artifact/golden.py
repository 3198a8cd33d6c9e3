"""Golden inputs and outputs in an artifact's evidence, which `selftest` reproduces on the target.

write_golden(folder / golden_file(), {"image": x}, {"logits": y})       # the same bytes every time
golden_file("main", (320, 480))                                         # "evidence/golden-main-320x480.npz"
inputs, outputs = read_golden(data)
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from ..errors import FileChanged
from ..limits import MAX_GOLDEN_BYTES
from ..manifest.program import MAIN, InputSize, size_text
from ..tensors.arrays import Array
from ..tensors.npz import read_npz
from ..tensors.tensors import npz_bytes

GOLDEN = "evidence/golden.npz"
_INPUT, _OUTPUT = "input.", "output."


def golden_file(program: str = MAIN, size: InputSize = ()) -> str:
    """Return where the golden tensors of a program lie, for one of its image sizes."""
    if (program, size) == (MAIN, ()):
        return GOLDEN
    return f"evidence/golden-{program}" + (f"-{size_text(size)}" if size else "") + ".npz"


def write_golden(path: Path, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
    """Write arrays by name; the same arrays give the same bytes."""
    arrays = {_INPUT + name: array for name, array in inputs.items()}
    arrays |= {_OUTPUT + name: array for name, array in outputs.items()}
    path.write_bytes(npz_bytes(arrays))


def read_golden(data: bytes, name: str = GOLDEN) -> tuple[dict[str, Array], dict[str, Array]]:
    """Read what `write_golden` wrote: (inputs, outputs). Raises FileChanged where it is not that."""
    try:
        arrays = read_npz(io.BytesIO(data), MAX_GOLDEN_BYTES)
    except ValueError as error:
        raise FileChanged(f"{name} cannot be read: {error}") from None
    return (
        {name.removeprefix(_INPUT): a for name, a in arrays.items() if name.startswith(_INPUT)},
        {name.removeprefix(_OUTPUT): a for name, a in arrays.items() if name.startswith(_OUTPUT)},
    )

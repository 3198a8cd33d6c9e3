"""Golden inputs and outputs in an artifact's evidence, which `selftest` reproduces on the target.

write_golden(folder / GOLDEN, {"image": x}, {"logits": y})      # the same bytes every time
inputs, outputs = read_golden(data)
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import FileChanged
from .limits import MAX_GOLDEN_BYTES
from .tensors import npz_bytes

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

GOLDEN = "evidence/golden.npz"
_INPUT, _OUTPUT = "input.", "output."


def write_golden(path: Path, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
    """Write arrays by name; the same arrays give the same bytes."""
    arrays = {_INPUT + name: array for name, array in inputs.items()}
    arrays |= {_OUTPUT + name: array for name, array in outputs.items()}
    path.write_bytes(npz_bytes(arrays))


def read_golden(data: bytes) -> tuple[dict[str, Array], dict[str, Array]]:
    """Read what `write_golden` wrote: (inputs, outputs). Raises FileChanged where it is not that."""
    import numpy as np

    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_GOLDEN_BYTES:
                raise FileChanged(f"{GOLDEN} unpacks to more than {MAX_GOLDEN_BYTES} bytes")
            for member in archive.infolist():
                with archive.open(member) as file:
                    name = member.filename.removesuffix(".npy")
                    arrays[name] = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, OSError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        raise FileChanged(f"{GOLDEN} cannot be read: {error}") from None
    return (
        {name.removeprefix(_INPUT): a for name, a in arrays.items() if name.startswith(_INPUT)},
        {name.removeprefix(_OUTPUT): a for name, a in arrays.items() if name.startswith(_OUTPUT)},
    )

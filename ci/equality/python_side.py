"""Print what the Python runtime makes of tensors, on TVM's virtual machine, as `ovenbird-outputs` prints it.

python ci/equality/python_side.py DIR TARGET IN.npz 8:1 1:2         # batch:threads; "8:1 0 logits 5f3c..."

Needs the runtime and numpy alone: it runs under an emulator, too.
"""

from __future__ import annotations

import hashlib
import sys

import numpy as np

import ovenbird_runtime


def main(folder: str, target: str, file: str, *ways: str) -> None:
    """Run the rows of a file in batches, and print each output's digest."""
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    rows = min(map(len, arrays.values()))
    for way in ways:
        batch, threads = map(int, way.split(":"))
        with ovenbird_runtime.load(folder, target=target, threads=threads, engine="tvm") as model:
            for first in range(0, rows - batch + 1, batch):
                outputs = model.run({name: array[first : first + batch] for name, array in arrays.items()})
                for name, array in outputs.items():
                    print(way, first, name, hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest())


if __name__ == "__main__":
    main(*sys.argv[1:])

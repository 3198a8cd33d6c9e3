"""From a `.pt2` file to an ExportedProgram: a checked copy is what torch loads.

program = read_program(Path("net.pt2"))
program = read_program(Path("old.pt2"), trust=True)     # torch.export.load, which runs what the file asks for
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from ovenbird.errors import NetworkUnreadable, NetworkUnsafe
from ovenbird.limits import MAX_PROGRAM_JSON_MB
from ovenbird.networks.files.archive import Archive
from ovenbird.networks.pt2.program import check_program
from ovenbird.networks.pt2.tensors import check_table, read_examples

if TYPE_CHECKING:
    from torch.export import ExportedProgram

GRAPH = "models/model.json"
EXAMPLES = "data/sample_inputs/model.pt"
TABLES = {
    "data/weights/": "data/weights/model_weights_config.json",
    "data/constants/": "data/constants/model_constants_config.json",
}
MARKS = {"archive_format": b"pt2", "archive_version": b"0", "byteorder": b"little", ".data/version": b""}
"""Small members, and what they must say; nothing where any text will do."""
IGNORED = (".data/", "extra/")
"""Members that compiling does not need. They stay out of the copy."""

TRUST = "--trust reads it all the same, and runs what it asks torch for: only for files that you made"


def read_program(path: Path, trust: bool = False) -> ExportedProgram:
    """Read what `torch.export.save` wrote; without `trust`, nothing of it is run.

    Raises NetworkUnreadable, NetworkUnsafe.
    """
    import torch

    from ovenbird.networks.torch.steady import steady_torch
    from ovenbird.networks.torch.tracing import first_line

    if not path.is_file():
        raise NetworkUnreadable(f"{path}: no file there; torch.export.save(program, path) writes one")
    with tempfile.TemporaryDirectory(prefix="ovenbird-pt2-") as folder:
        copy = path if trust else Path(folder) / "checked.pt2"
        try:
            if not trust:
                write_checked(path, copy)
            with steady_torch():
                return torch.export.load(copy)
        except NetworkUnsafe as error:
            raise NetworkUnsafe(f"{path}: {error}; {TRUST}") from None
        except NetworkUnreadable as error:
            raise NetworkUnreadable(f"{path}: {error}") from None
        except Exception as error:
            raise NetworkUnreadable(
                f"{path}: not a program that torch.export.load reads: {first_line(error)}"
            ) from error


def write_checked(path: Path, copy: Path) -> None:
    """Write what passes the checks into the archive `copy`. Raises NetworkUnsafe, NetworkUnreadable, OSError."""
    import io

    import torch

    most = MAX_PROGRAM_JSON_MB * 1_000_000
    with Archive.open(path, "the file") as archive, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as checked:
        _check_members(archive)
        for name, expected in MARKS.items():
            if name in archive.names:
                said = archive.read(name, 100)
                if expected and said != expected:
                    raise NetworkUnreadable(f"{name} is {said!r}, expected {expected!r}")
                checked.writestr(f"checked/{name}", said)
        checked.writestr(f"checked/{GRAPH}", check_program(archive.read(GRAPH, most), "its graph"))
        for folder, table in TABLES.items():
            data, members = check_table(archive.read(table, most), archive, folder)
            checked.writestr(f"checked/{table}", data)
            for member in members:
                archive.copy(folder + member, checked, f"checked/{folder}{member}")
        examples = io.BytesIO()
        torch.save(read_examples(archive.read(EXAMPLES, archive.size(EXAMPLES))), examples)
        checked.writestr(f"checked/{EXAMPLES}", examples.getvalue())


def _check_members(archive: Archive) -> None:
    """Refuse members that torch would load code or pickles from."""
    if "serialized_exported_program.json" in archive.names or GRAPH not in archive.names:
        raise NetworkUnsafe("no program of torch 2.8 or later; save it again with torch.export.save")
    for name in archive.names:
        known = name in (GRAPH, EXAMPLES, *MARKS, *TABLES.values()) or name.startswith(IGNORED)
        raw = any(name.startswith(folder) and not name.endswith(".pt") for folder in TABLES)
        if not known and not raw:
            raise NetworkUnsafe(f"it holds {name[:80]!r}, which is no part of one program")

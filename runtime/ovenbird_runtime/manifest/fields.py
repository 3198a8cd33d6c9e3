"""The kinds of value that manifests and targets are made of: names, paths, digests, dtypes, dimensions.

    Name, FilePath, Sha256       # Annotated types, which `schema.decode` checks
    ITEM_BYTES["float32"]        # 4

A file's path has no leading dot, no "..", at most five parts, and ASCII letters, digits, `_.-` only.
"""

from __future__ import annotations

from typing import Annotated, Literal

from ..limits import MAX_COMPILED_BATCH, MAX_DIM, MAX_NAME_CHARS, MAX_PATH_CHARS, MAX_TEXT_CHARS, SCHEMA_VERSION
from .schema import Range, Text

Dtype = Literal[
    "float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"
]
ITEM_BYTES = {"float32": 4, "float16": 2, "float64": 8, "bool": 1} | {
    f"{u}int{b}": b // 8 for u in ("", "u") for b in (8, 16, 32, 64)
}

NAME_TEXT = Text(r"[A-Za-z0-9_][A-Za-z0-9_.:/\-]*", MAX_NAME_CHARS)
FOLDER_TEXT = Text(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*", MAX_NAME_CHARS)
PATH_TEXT = Text(r"([A-Za-z0-9_][A-Za-z0-9_.\-]*/){0,4}[A-Za-z0-9_][A-Za-z0-9_.\-]*", MAX_PATH_CHARS)
SHA256_TEXT = Text(r"[0-9a-f]{64}", 64)
PROGRAM_TEXT = Text(r"[A-Za-z_][A-Za-z0-9_]*", MAX_NAME_CHARS)
VERSION_TEXT = Text(r"[0-9]+(\.[0-9]+)+", 32)
FREE_TEXT = Text(r".*", MAX_TEXT_CHARS)

Name = Annotated[str, NAME_TEXT]
Free = Annotated[str, FREE_TEXT]
Folder = Annotated[str, FOLDER_TEXT]
ProgramName = Annotated[str, PROGRAM_TEXT]
FilePath = Annotated[str, PATH_TEXT]
Sha256 = Annotated[str, SHA256_TEXT]
Version = Annotated[str, VERSION_TEXT]
SchemaVersion = Annotated[int, Range(SCHEMA_VERSION, SCHEMA_VERSION)]
Dim = Annotated[int, Range(0, MAX_DIM)]
Batch = Annotated[int, Range(1, MAX_COMPILED_BATCH)]

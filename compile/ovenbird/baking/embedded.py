"""A model in a program of one's own: an object file that holds the artifact, and a header that opens it.

    write_embedded(artifact, "x86-64-v3", "resnet50", Path("build"))       # build/resnet50.o, build/resnet50.h
    # #include "resnet50.h", resnet50_open(NULL, &artifact); cc main.c resnet50.o -lovenbird ...

The object is an ELF file for the target's processor, written here: no compiler is needed. Its data are what lies
behind an executable (`executable.py`); the runtime checks them as a folder's files, then loads kernels and weights.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from ovenbird.baking.executable import MACHINES, PAGE_BYTES, arch_of, write_bundle
from ovenbird.errors import UsageError, output_error
from ovenbird.replacing import replacing
from ovenbird_runtime.artifact.artifact import Artifact

RELOCATABLE, PROGRAM_BITS, SYMBOLS, STRINGS = 1, 1, 2, 3
ALLOCATED = 2
GLOBAL_OBJECT = 0x11
HEADER = """/* {model} for {target}, embedded by ovenbird bake --format c: link {name}.o and ovenbird's runtime. */
#ifndef {guard}_OVENBIRD_H
#define {guard}_OVENBIRD_H

#include <ovenbird.h>

#ifdef __cplusplus
extern "C" {{
#endif

extern const unsigned char {name}_artifact[]; /* {size} bytes */

/* Opens the model; options may be NULL. Free it with ovenbird_artifact_free. */
static inline ovenbird_status {name}_open(const ovenbird_open_options *options, ovenbird_artifact **artifact) {{
    return ovenbird_open_embedded({name}_artifact, {size}u, options, artifact);
}}

#ifdef __cplusplus
}}
#endif
#endif
"""


@dataclass(frozen=True)
class EmbeddedReport:
    """What was written; `size_bytes` is the object's."""

    object_file: str
    header: str
    target: str
    arch: str
    size_bytes: int


def write_embedded(artifact: Artifact, target: str, name: str, folder: Path) -> EmbeddedReport:
    """Write NAME.o and NAME.h into a folder. Raises ArtifactError, UsageError, OutputError."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not re.match("[A-Za-z_]", name):
        raise UsageError(f"{name!r} begins no name in C: give another (--output FOLDER/NAME)")
    bundle, arch = io.BytesIO(), arch_of(artifact, target)
    size = write_bundle(bundle, artifact, target)
    data = object_file(bundle.getbuffer(), f"{name}_artifact", arch)
    words = {"model": artifact.manifest.model.name, "target": target, "name": name, "guard": name.upper()}
    files = {f"{name}.o": data, f"{name}.h": HEADER.format(size=size, **words).encode()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            with replacing(folder / file) as partial:
                partial.write_bytes(content)
    except OSError as error:
        raise output_error(error, str(folder)) from None
    written = [str(folder / file) for file in files]
    return EmbeddedReport(written[0], written[1], target, arch, len(data))


def object_file(content: bytes | memoryview, symbol: str, arch: str) -> bytes:
    """Return a relocatable ELF file (System V ABI, chapter 4) whose read-only data is `content`, named `symbol`."""
    machine = next(code for code, known in MACHINES.items() if known == arch)
    names = b"\0.rodata\0.symtab\0.strtab\0.note.GNU-stack\0"
    strings = names + symbol.encode() + b"\0"
    symbols = bytes(24) + struct.pack("<IBBHQQ", len(names), GLOBAL_OBJECT, 0, 1, 0, len(content))
    sections, body = [bytes(64)], bytearray(bytes(PAGE_BYTES))  # the header's page; data begin on the next one
    for place, kind, flags, data, link, first, align, entry in (
        (b".rodata", PROGRAM_BITS, ALLOCATED, content, 0, 0, PAGE_BYTES, 0),
        (b".symtab", SYMBOLS, 0, symbols, 3, 1, 8, 24),
        (b".strtab", STRINGS, 0, strings, 0, 0, 1, 0),
        (b".note.GNU-stack", PROGRAM_BITS, 0, b"", 0, 0, 1, 0),
    ):
        body += bytes(-len(body) % align)
        offset = strings.index(b"\0" + place + b"\0") + 1
        sections.append(
            struct.pack("<IIQQQQIIQQ", offset, kind, flags, 0, len(body), len(data), link, first, align, entry)
        )
        body += data
    body += bytes(-len(body) % 8)
    table = len(body)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    number = int.from_bytes(machine, "little")
    header = struct.pack("<HHIQQQIHHHHHH", RELOCATABLE, number, 1, 0, 0, table, 0, 64, 0, 0, 64, len(sections), 3)
    body[: len(identity + header)] = identity + header
    return bytes(body) + b"".join(sections)

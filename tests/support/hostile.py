"""Artifacts that a stranger made to do harm: sealed as ours are, with sizes, shapes and bytes that nobody can use.

for name, spoil in HOSTILE.items():
    spoil(folder)                # a copy of the tiny artifact, changed and sealed again
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird_runtime.artifact.golden import GOLDEN
from ovenbird_runtime.manifest.manifest import UNSEALED
from ovenbird_runtime.manifest.schema import dump

Spoil = Callable[[Path], None]
TARGET = "targets/tiny/target.json"


def seal_anything(value: Any) -> bytes:
    """Seal a manifest, whatever it holds. Raises ValueError where it cannot even be written."""
    if isinstance(value, dict) and "digest" in value:
        value["digest"] = UNSEALED
    data = dump(value)
    return data.replace(UNSEALED.encode(), hashlib.sha256(data).hexdigest().encode(), 1)


def put(folder: Path, name: str, data: bytes) -> None:
    """Write a file of the artifact, and its size and digest into the manifest."""
    (folder / name).write_bytes(data)
    change_manifest(
        folder, lambda m: m["files"].update({name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}})
    )


def change_manifest(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "manifest.json"
    value = json.loads(path.read_bytes())
    change(value)
    path.write_bytes(seal_anything(value))


def manifest(change: Callable[[dict[str, Any]], Any]) -> Spoil:
    return lambda folder: change_manifest(folder, change)


def target(change: Callable[[dict[str, Any]], Any]) -> Spoil:
    def spoil(folder: Path) -> None:
        value = json.loads((folder / TARGET).read_bytes())
        change(value)
        put(folder, TARGET, dump(value))

    return spoil


def golden(data: bytes) -> Spoil:
    return lambda folder: put(folder, GOLDEN, data)


def text(name: str, data: bytes) -> Spoil:
    return lambda folder: put(folder, name, data)


def raw_manifest(data: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / "manifest.json").write_bytes(data)

    return spoil


def npy(shape: str, descr: str = "'<f4'", numbers: bytes = b"\0" * 16, version: int = 1) -> bytes:
    """Return an array file whose header says what it likes."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    length = struct.pack("<H", len(header)) if version == 1 else struct.pack("<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + numbers


def npz(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def packed(data: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    """Return golden arrays whose input is these bytes."""
    return npz({"input.image.npy": data, "output.logits.npy": npy("(4,)")}, method)


def corrupt_deflate() -> bytes:
    data = bytearray(packed(npy("(4000,)", numbers=np.arange(4000, dtype="<f4").tobytes()), zipfile.ZIP_DEFLATED))
    data[200:260] = b"\xff" * 60
    return bytes(data)


def _two_of_one_name() -> bytes:
    import warnings

    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")
        for _ in range(2):
            archive.writestr("input.image.npy", npy("(4,)"))
    return buffer.getvalue()


def many_members() -> bytes:
    """A directory of 200,000 entries, which take a kilobyte of memory each."""
    data = npz({"x": b""})
    start, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entries = data[start:end] * 200_000
    return data[:start] + entries + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(entries), start, 0)


def sized(declared: int) -> bytes:
    """A member whose directory promises another size than there is."""
    data = bytearray(packed(npy("(4,)")))
    place = data.index(b"PK\1\2") + 24
    data[place : place + 4] = struct.pack("<L", declared)
    return bytes(data)


def main(value: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest's only program."""
    found: dict[str, Any] = value["programs"]["main"]
    return found


def shapes(value: list[Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda m: main(m)["outputs"][0].update(shape=value)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def images_and(outputs: dict[str, bytes]) -> bytes:
    """Return golden arrays of one image that the network takes, and outputs that are something else."""
    image = npy("(1, 3, 32, 32)", numbers=bytes(4 * 3 * 32 * 32))
    return npz({"input.image.npy": image} | {f"output.{name}.npy": data for name, data in outputs.items()})


GOLDEN_FILES = {
    "no zip": b"PK\3\4" + b"\0" * 100,
    "empty": b"",
    "a shape of 2**50": packed(npy(f"({2**50},)")),
    "a shape of 10**30": packed(npy(f"({10**30},)")),
    "a product beyond 64 bits": packed(npy(f"({2**31}, {2**31}, {2**31})")),
    "no elements, and beyond 64 bits": packed(npy(f"(0, {2**31}, {2**31}, {2**31})", numbers=b"")),
    "a negative size": packed(npy("(-4,)")),
    "two negative sizes": packed(npy("(-2, -2)")),
    "a true size": packed(npy("(True, 4)")),
    "fewer numbers": packed(npy("(400,)")),
    "more numbers": packed(npy("(1,)")),
    "objects": packed(npy("(1,)", "'|O'")),
    "strings": packed(npy("(4,)", "'<U1'")),
    "nothing": packed(npy("(4,)", "'|V0'", b"")),
    "records": packed(npy("(2,)", "[('a', '<f4'), ('b', '<f4')]")),
    "arrays in arrays": packed(npy("(1,)", "('<f4', (4,))")),
    "deep parentheses": packed(npy("(" * 3000 + ")" * 3000, version=2)),
    "a call": packed(npy("__import__('os').getpid()")),
    "a later version": packed(npy("(4,)", version=3)),
    "corrupt deflate": corrupt_deflate(),
    "a bomb": packed(npy(f"({300 << 18},)", numbers=bytes(300 << 20)), zipfile.ZIP_DEFLATED),
    "bzip2": packed(npy("(4,)"), zipfile.ZIP_BZIP2),
    "lzma": packed(npy("(4,)"), zipfile.ZIP_LZMA),
    "one name twice": _two_of_one_name(),
    "many members": many_members(),
    "a size of 4 GB": sized(0xFFFFFFFE),
    "a size of 5": sized(5),
    "other names": npz({"input.nobody.npy": npy("(4,)")}),
    "names that lead out": npz({"../../input.image.npy": npy("(4,)")}),
    "another shape": packed(npy("(4,)")),
    "no rows": npz({"input.image.npy": npy("(0, 3, 32, 32)", numbers=b""), "output.logits.npy": npy("(4,)")}),
    "outputs of another shape": images_and(
        {"logits": npy("(3,)", numbers=bytes(12)), "embedding": npy("(7, 1)", numbers=bytes(28))}
    ),
    "outputs without a shape": images_and(
        {"logits": npy("()", numbers=bytes(4)), "embedding": npy("()", numbers=bytes(4))}
    ),
    "outputs of integers": images_and(
        {"logits": npy("(1, 5)", "'<i8'", bytes(40)), "embedding": npy("(1, 8)", "'|b1'", bytes(8))}
    ),
    "outputs of NaN": images_and(
        {"logits": npy("(1, 5)", numbers=b"\xff" * 20), "embedding": npy("(1, 8)", numbers=b"\xff" * 32)}
    ),
    "outputs of 1e38": images_and(
        {
            "logits": npy("(1, 5)", numbers=struct.pack("<5f", *[3e38] * 5)),
            "embedding": npy("(1, 8)", numbers=bytes(32)),
        }
    ),
    "no outputs": images_and({}),
}

HOSTILE: dict[str, Spoil] = {
    **{f"golden: {name}": golden(data) for name, data in GOLDEN_FILES.items()},
    "outputs of [N, 2**31, 2**31]": manifest(shapes(["N", 2**31, 2**31])),
    "outputs of eight large dimensions": manifest(shapes(["N", *[2**31] * 7])),
    "outputs of no elements, and beyond 64 bits": manifest(shapes(["N", 0, *[2**31] * 6])),
    "outputs of 2**62 bytes": manifest(shapes(["N", 2**30, 2**30])),
    "outputs of a negative size": manifest(shapes(["N", -5])),
    "outputs of a huge size": manifest(shapes(["N", 10**400])),
    "outputs of one size more": manifest(shapes(["N", *[1] * 8])),
    "an output twice": manifest(lambda m: main(m)["outputs"].append(main(m)["outputs"][0])),
    "inputs of a large image": manifest(lambda m: main(m)["inputs"][0].update(shape=["N", 3, 2**20, 2**20])),
    "a fraction as a size": manifest(shapes(["N", 5.5])),
    "a deep value": manifest(lambda m: m["tuning"].update(x=nested(70))),
    "a value too deep for Python": raw_manifest(b'{"tuning": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "a number of 10,000 digits": raw_manifest(b'{"schema_version": ' + b"9" * 10_000 + b"}"),
    "NaN": raw_manifest(b'{"tuning": {"a": NaN}}'),
    "half a surrogate pair": raw_manifest(b'{"tuning": {"a": "\\ud800"}}'),
    "half a surrogate pair as a key": raw_manifest(b'{"tuning": {"\\udfff": 1}}'),
    "escapes for a terminal": manifest(lambda m: m["model"].update(version="\x1b]0;gone\x07\x1b[2J\nerror: none")),
    "a labelled output without classes": manifest(
        lambda m: (
            main(m)["outputs"][0].update(shape=["N"]),
            main(m)["postprocess"].clear(),
            main(m)["postprocess"].append({"step": "classification", "output": "logits", "labels": "labels.txt"}),
        )
    ),
    "a canvas of a gigapixel": manifest(
        lambda m: main(m)["preprocess"]["pipelines"].update(
            {main(m)["preprocess"]["default"]: [{"step": "pad", "size": [32768, 32768]}, {"step": "normalise"}]}
        )
    ),
    "no program": manifest(lambda m: m["programs"].clear()),
    "a program without code": manifest(lambda m: m["programs"].update(other=main(m))),
    "a program's name that leads out": manifest(lambda m: m["programs"].update({"../main": main(m)})),
    "a step of no kind": manifest(lambda m: main(m)["postprocess"][0].update(step="boxes")),
    "a variant of another precision": manifest(lambda m: m["variants"][0].update(precision="int8")),
    "an entry of no program": target(lambda t: t["entries"][0].update(program="other")),
    "an entry of another image size": target(lambda t: t["entries"][0].update(size=[64, 64])),
    "a precision that is none": target(lambda t: t.update(precision="f8")),
    "a file of 2**50 bytes": manifest(lambda m: m["files"]["labels.txt"].update(size=2**50)),
    "a file of a negative size": manifest(lambda m: m["files"]["labels.txt"].update(size=-1)),
    "a weight index equal to the count": target(lambda t: t["entries"][0].update(weights=[len(t["tensors"])])),
    "a negative weight index": target(lambda t: t["entries"][0].update(weights=[-1, 0])),
    "a tensor beyond its file": target(lambda t: t["tensors"][0].update(offset=2**20)),
    "a negative offset": target(lambda t: t["tensors"][0].update(offset=-64)),
    "an offset of 2**70": target(lambda t: t["tensors"][0].update(offset=2**70)),
    "a tensor of 2**62 bytes": target(lambda t: t["tensors"][0].update(shape=[2**30, 2**30])),
    "a tensor of no elements, and beyond 64 bits": target(lambda t: t["tensors"][0].update(shape=[0, *[2**31] * 7])),
    "a batch of 2**62": target(lambda t: t["entries"][1].update(batch=2**62)),
    "a batch of 4096 of large images": lambda folder: (
        change_manifest(folder, lambda m: main(m)["inputs"][0].update(shape=["N", 3, 1024, 1024])),
        target(lambda t: t["entries"][1].update(batch=4096))(folder),
    )[0],
    "no entries": target(lambda t: t["entries"].clear()),
    "a version of 30 digits": target(lambda t: t.update(glibc="9" * 29 + ".1")),
    "GPU code of no chip": target(lambda t: t.update(kind="cuda", compute=["sm_x", "sm_0"], driver="999.999")),
    "labels that are no text": text("labels.txt", b"\xff\xfe\n" * 5),
    "four million labels": text("labels.txt", b"\n" * 4_000_000),
    "labels with escapes": text("labels.txt", "\x1b[2J\n\u202e\n\0\na\nb\n".encode()),
    "no labels": text("labels.txt", b""),
    "target.json that is no object": text(TARGET, b"[]"),
    "target.json that is deep": text(TARGET, b"[" * 50_000),
}

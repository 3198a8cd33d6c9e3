"""Golden files and files of tensors: deterministic, never unpickled, never half written."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ovenbird_runtime.artifact.golden import read_golden, write_golden
from ovenbird_runtime.errors import FileChanged, InputUnreadable, OutputNotWritten
from ovenbird_runtime.tensors.tensors import read_tensors, write_tensors
from ovenbird_runtime.tensors.writing import write_whole

Array = np.ndarray[Any, Any]


def test_golden_tensors_come_back_as_the_same_bytes(tmp_path: Path) -> None:
    inputs, outputs = {"x": np.arange(6.0).reshape(2, 3)}, {"x": np.float32([1]), "y": np.array(True)}
    for name in ("a", "b"):
        write_golden(tmp_path / name, inputs, outputs)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found_inputs, found_outputs = read_golden((tmp_path / "a").read_bytes())
    np.testing.assert_equal(found_inputs, inputs)
    np.testing.assert_equal(found_outputs, outputs)


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **{"input.x": np.array([{}], dtype=object)})
    return buffer.getvalue()


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("input.x.npy", "w") as member:
        for _ in range(300):
            member.write(bytes(1 << 20))
    return buffer.getvalue()


@pytest.mark.parametrize("data", [b"", b"PK", pickled(), bomb()], ids=["empty", "short", "pickled", "bomb"])
def test_hostile_golden_files_are_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(FileChanged):
        read_golden(data)


def test_mutated_golden_files_are_read_or_refused(tmp_path: Path) -> None:
    write_golden(tmp_path / "g", {"x": np.arange(6.0)}, {"y": np.arange(3)})
    data = (tmp_path / "g").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        spoilt = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            spoilt[place] ^= int(rng.integers(1, 256))
        with contextlib.suppress(FileChanged):
            read_golden(bytes(spoilt))


def test_tensors_come_back_as_they_were(tmp_path: Path) -> None:
    write_tensors(tmp_path / "t.npz", {"a": np.arange(3), "file": np.array(1.5)})
    np.testing.assert_equal(read_tensors(tmp_path / "t.npz"), {"a": np.arange(3), "file": np.array(1.5)})


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.arange(3))
    with pytest.raises(InputUnreadable, match="single array"):
        read_tensors(tmp_path / "t.npy")


def test_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.npz").write_bytes(pickled())
    with pytest.raises(InputUnreadable):
        read_tensors(tmp_path / "t.npz")


def test_outputs_that_are_no_plain_files(tmp_path: Path) -> None:
    """A device stays a device, a link a link; a file of the user's beside the output stays too."""
    device, pipe, link = Path("/dev/null"), tmp_path / "pipe", tmp_path / "link"
    write_tensors(device, {"a": np.arange(3)})
    assert device.is_char_device()
    link.symlink_to(tmp_path / "t.npz")
    (tmp_path / "t.npz.part").write_text("mine")
    write_tensors(tmp_path / "t.npz", {"a": np.arange(2)})
    write_tensors(link, {"a": np.arange(3)})
    assert link.is_symlink()
    assert read_tensors(tmp_path / "t.npz")["a"].size == 3
    assert (tmp_path / "t.npz.part").read_text() == "mine"
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: (tmp_path / "read").write_bytes(pipe.read_bytes()))
    reader.start()
    write_tensors(pipe, {"a": np.arange(4)})
    reader.join()
    assert pipe.is_fifo()
    assert read_tensors(tmp_path / "read")["a"].size == 4


def test_a_full_disk_leaves_no_half_of_a_file(tmp_path: Path) -> None:
    """No room: an error, and nothing left of the file."""
    import signal

    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OutputNotWritten, match=r"t\.npz' cannot be written: File too large"):
            write_tensors(tmp_path / "t.npz", {"a": np.zeros(100_000)})
        with pytest.raises(OutputNotWritten, match=r"b\.png' cannot be written: File too large"):
            write_whole(tmp_path / "b.png", bytes(20_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []

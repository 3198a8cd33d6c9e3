"""The files of served models change in place, under requests: the same answers, and a server that stays ready."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ovenbird_runtime.artifact.golden import GOLDEN
from ovenbird_runtime.manifest.manifest import FileRecord, Manifest
from support.hostile import HOSTILE
from support.serving import Serving
from support.tiny_artifact import copy_tiny, reseal

URL = "/v1/models/tiny:predict"


def another_network(folder: Path) -> Path:
    """Return an artifact of the same name, sealed, whose weights have another sign; it has no golden outputs."""
    artifact = copy_tiny(folder)
    path = next((artifact / "weights").iterdir())
    path.write_bytes(bytes(byte ^ 0x80 if place % 4 == 3 else byte for place, byte in enumerate(path.read_bytes())))
    (artifact / GOLDEN).unlink()
    reseal(artifact, lambda manifest: dataclasses.replace(manifest, files=without_golden(manifest)))
    return artifact


def without_golden(manifest: Manifest) -> dict[str, FileRecord]:
    return {name: record for name, record in manifest.files.items() if name != GOLDEN}


def spoil(path: Path) -> None:
    """Overwrite a file's first half, then cut it there."""
    half = path.stat().st_size // 2
    with path.open("r+b") as file:
        file.write(bytes(half))
        file.truncate(half)


def answer_of(server: Serving, jpeg: bytes) -> Any:
    """Return the classes that a server answers with, which tell one network from another."""
    status, _, body = server.request("POST", URL, jpeg)
    assert status == 200, body
    scores = json.loads(body)["predictions"][0]["classes"]["logits"]
    return [(score["label"], round(score["confidence"], 3)) for score in scores]


@pytest.mark.parametrize("change", ["cp over it", "spoil every file", "remove"])
def test_a_change_under_requests_gives_no_mixed_answer(tmp_path: Path, jpeg: bytes, change: str) -> None:
    spoilt, other = copy_tiny(tmp_path), another_network(tmp_path / "other")
    with Serving.start(spoilt) as server, Serving.start(other) as served_other:
        first, unlike = answer_of(server, jpeg), answer_of(served_other, jpeg)
        assert first != unlike
        answers: list[Any] = []
        stop = threading.Event()

        def client() -> None:
            while not stop.is_set():
                answers.append(answer_of(server, jpeg))

        threads = [threading.Thread(target=client) for _ in range(3)]
        for thread in threads:
            thread.start()
        if change == "cp over it":
            subprocess.run(["cp", "-r", f"{other}/.", str(spoilt)], check=True, timeout=30)
        elif change == "remove":
            shutil.rmtree(spoilt)
        else:
            for path in sorted(path for path in spoilt.rglob("*") if path.is_file()):
                spoil(path)
        count = len(answers)
        while len(answers) < count + 20 and any(thread.is_alive() for thread in threads):
            time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()
        assert len(answers) >= count + 20
        assert [answer for answer in answers if answer != first] == []
        assert server.request("GET", "/v2/health/ready")[0] == 200
        assert server.process.poll() is None


def test_hostile_new_versions_leave_the_old_one(tmp_path: Path, jpeg: bytes) -> None:
    """Each replaces the served artifact and is refused in one line; the old one answers on."""
    served = copy_tiny(tmp_path)
    names = ["golden: a shape of 10**30", "golden: corrupt deflate", "outputs of [N, 2**31, 2**31]", "a deep value",
             "a value too deep for Python", "four million labels", "an offset of 2**70"]  # fmt: skip
    with Serving.start(served, "--watch") as server:
        first = answer_of(server, jpeg)
        for count, name in enumerate(names, start=1):
            other = copy_tiny(tmp_path / str(count))
            HOSTILE[name](other)
            served.rename(tmp_path / f"was {count}")
            other.rename(served)
            wait_until(lambda: len(server.events("reload_failed")) == count)  # noqa: B023
            assert answer_of(server, jpeg) == first
        failures = server.events("reload_failed")
        assert {failure["type"] for failure in failures} <= {"FileChanged", "ManifestInvalid", "LabelsMismatch"}
        assert server.request("GET", "/v2/health/ready")[0] == 200


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)

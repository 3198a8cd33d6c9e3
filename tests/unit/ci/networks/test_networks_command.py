"""The command that compiles torchvision's and timm's networks: its lists, its results, that it goes on."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[4]
COMMAND = ROOT / "ci/networks"


def test_no_network_is_named_twice() -> None:
    lists = tomllib.loads((COMMAND / "networks.toml").read_text(encoding="utf-8"))
    names = [name for some in lists["timm"].values() for name in some]
    assert len(names) == len(set(names))
    assert len(lists["timm"]) >= 40
    assert all(reason.strip() for reason in lists["left_out"].values())


def test_what_another_machine_found_stays_on_the_page(tmp_path: Path) -> None:
    """Results of two processors are kept in one file, the newer one of a network; ratios have a mean by processor."""
    facts = {"outcome": "right", "error": 1e-4, "seconds": 9.0, "processor_seconds": 8.0, "settings": "random:0"}
    code = f"""
import sys
from dataclasses import replace
sys.path.insert(0, {str(COMMAND)!r})
from pathlib import Path
from page import page
from recorded import kept, recorded, write, write_record
from trying import Result
folder = Path({str(tmp_path)!r})
old = Result(name="a", chip="old", ours_s=0.2, theirs_s=0.1, quartiles=(1.9, 2.1), **{facts!r})
first = {{"a": old, "b": replace(old, name="b")}}
write_record(folder / "record", first)
assert recorded(folder / "record") == first
(folder / "results").mkdir()
write(folder / "results/b.json", Result(name="b", chip="new", ours_s=0.1, theirs_s=0.2, **{facts!r}))
write(folder / "results/c.json", Result(name="c", chip="new", **{facts!r}))
write_record(folder / "record", recorded(folder / "record") | kept(folder / "results"))
print(page(list(recorded(folder / "record").values()), {{}}, ["a", "b", "c", "d"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "- 3 of 4 were tried: **3** compiled and verified; 2 were timed." in done.stdout
    means = {line[2]: line.partition("geometric mean of ")[2] for line in done.stdout.splitlines() if line[3:5] == ": "}
    assert means["A"].startswith("1 ratios **0.500**, largest 0.50; above 1.3: none")
    assert means["B"].startswith("1 ratios **2.000**, largest 2.00; above 1.3: a")


@pytest.mark.slow
def test_a_network_is_compiled_and_its_result_kept(tmp_path: Path) -> None:
    if importlib.util.find_spec("timm") is None:
        pytest.skip("no timm (make setup)")
    command = [sys.executable, str(COMMAND), "timm:test_vit", "--results", str(tmp_path), "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("1/1 right timm:test_vit: error ")
    (file,) = tmp_path.glob("*.json")
    found = json.loads(file.read_text())
    assert found["error"] < 2e-3
    assert found["kernels"] > 10
    assert found["ours_s"] > 0 < found["theirs_s"]
    again = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert again.stdout == done.stdout

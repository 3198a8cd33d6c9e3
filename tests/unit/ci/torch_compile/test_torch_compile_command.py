"""The command that runs torchvision's classifiers under `torch.compile`: its rows, its page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
COMMAND = ROOT / "ci/torch_compile"

PROGRAM = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from page import page
from rows import Row, read, write

file = Path(sys.argv[2])
a = Row("a", compiled=1, error=2e-5, first_s=9.0, warm_s=0.5, ours_s=0.1, processor_s=0.5, chip="one", commit="c0ffee")
timed = {"own_ms": 1.0, "peer_ms": 4.0, "ratio": 0.25, "quartiles": (0.2, 0.3), "peer": "inductor", "threads": 2}
b = replace(a, network="b", processor_s=2.0, **timed)
c = replace(a, network="c", why="off by 1.0e-02", eager=1)
write(file, {row.network: row for row in (c, a, b)})
assert list(read(file)) == ["a", "b", "c"]
assert read(file)["a"] == a
assert read(file / "nowhere") == {}
print(page(list(read(file).values()), ["a", "b", "c", "d"]))
"""


def test_rows_are_kept_and_the_page_counts_what_is_right(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(COMMAND), str(tmp_path / "rows.json")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "one; at c0ffee. 3 of 4 were tried: **2** are right and whole." in text
    assert "geometric mean of the processor's seconds **1.00**; not within 1.5: b." in text
    assert "1 timed with inductor (2 threads): geometric mean of our time by its **0.25**, largest 0.25." in text
    assert "| b | 1 | 0 | 2e-05 | 0.50 | 0.10 | 2.00 | 1.00 | 4.00 | 0.25 | 0.20–0.30 |" in text
    assert "- c: off by 1.0e-02" in text.split("## Not right, or not whole")[1]

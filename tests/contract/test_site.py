"""docs/ builds as a site with every link checked, and a link to nowhere is an error."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mkdocs")
ROOT = Path(__file__).resolve().parents[2]


def build(root: Path, output: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-f",
        str(root / "mkdocs.yml"),
        "-d",
        str(output),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_the_site_builds(tmp_path: Path) -> None:
    done = build(ROOT, tmp_path)
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.html")}
    sources = {
        path.relative_to(ROOT / "docs").with_suffix(".html").as_posix() for path in (ROOT / "docs").rglob("*.md")
    }
    assert sources - {"README.html"} <= pages
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "fonts.googleapis" not in text, "the site fetches nothing from others"


@pytest.mark.parametrize("link", ["how-to/nowhere.md", "tutorial.md#no-such-heading"])
def test_a_link_to_nowhere_is_an_error(tmp_path: Path, link: str) -> None:
    shutil.copytree(ROOT / "ci/site", tmp_path / "ci/site", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/tutorial.md").write_text("# Tutorial\n")
    (tmp_path / "docs/README.md").write_text(f"# Documentation\n\n[a link]({link})\n")
    assert build(tmp_path, tmp_path / "site").returncode == 1
    (tmp_path / "docs/README.md").write_text(
        "# Documentation\n\n[a link](tutorial.md), [a file](../../artifacts/README.md)\n"
    )
    assert build(tmp_path, tmp_path / "site").returncode == 0

"""What the distributions hold, however they are built, and what is advised where something is not installed.

`ci/steps/wheels.sh` installs them into clean environments and uses them.
"""

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from ovenbird_runtime.console.installing import install_hint

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "runtime"
IGNORED = ("__pycache__", "lib")


def build(kind: str, source: Path, output: Path) -> Path:
    """Build a distribution as pip does, without a network: the runtime's libraries are here already."""
    pytest.importorskip("hatchling", reason="hatchling is not installed (make setup)")
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(output)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = output.iterdir()
    return found


def files_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return sorted(archive.namelist())


def sources_of(folder: Path) -> set[str]:
    """Return the files of a package in this checkout, but for what building makes."""
    return {
        str(path.relative_to(folder.parent))
        for path in folder.rglob("*")
        if path.is_file() and not set(IGNORED) & set(path.relative_to(folder).parts)
    }


def test_the_runtimes_wheels_from_tree_and_sdist_are_one(tmp_path: Path) -> None:
    wheel = files_of(build("wheel", RUNTIME, tmp_path / "wheel"))
    with tarfile.open(build("sdist", RUNTIME, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert not (unpacked / "ovenbird_runtime" / "lib").exists()
    shutil.copytree(RUNTIME / "ovenbird_runtime" / "lib", unpacked / "ovenbird_runtime" / "lib")
    assert files_of(build("wheel", unpacked, tmp_path / "again")) == wheel
    assert len(wheel) == len(set(wheel))
    assert sources_of(RUNTIME / "ovenbird_runtime") <= set(wheel)
    assert "ovenbird_runtime/serve/routes/page.html" in wheel
    licences = {name.rpartition("/")[2] for name in wheel if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}
    assert {"ovenbird_runtime/lib/LICENSE.tvm", "ovenbird_runtime/lib/NOTICE.tvm"} <= set(wheel)


def test_the_compilers_wheel_brings_what_a_checkout_has(tmp_path: Path) -> None:
    wheel = set(files_of(build("wheel", ROOT, tmp_path)))
    assert sources_of(ROOT / "compile" / "ovenbird") <= wheel
    for folder in ("targets", "tuning_logs"):
        assert {f"ovenbird/_{name}" for name in sources_of(ROOT / folder) if not name.endswith(".lock")} <= wheel
    assert {f"ovenbird/_sources/{name}" for name in sources_of(RUNTIME)} <= wheel
    assert "ovenbird/_sources/ci/constraints.txt" in wheel
    assert not [name for name in wheel if name.endswith((".so", ".pyc", ".lock"))]


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE"])
def test_the_runtime_carries_the_same_terms(name: str) -> None:
    assert (RUNTIME / name).read_bytes() == (ROOT / name).read_bytes()


def test_no_index_is_said_to_have_us() -> None:
    """A hint or a page that advises `pip install ovenbird...` sends its reader to whoever takes that name."""
    wrong = re.compile(r"pip install[^\n]*['\" ]ovenbird(-runtime)?(?![\w./-]*\.whl|_runtime-)(?=['\"\[\s`]|$)")
    assert wrong.search("pip install 'ovenbird-runtime[serve]'")
    assert wrong.search("pip install ovenbird")
    assert not wrong.search("pip install './runtime[serve]' in a clone of Ovenbird")
    texts = [
        *ROOT.glob("compile/**/*.py"),
        *ROOT.glob("runtime/**/*.py"),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("*.md"),
    ]
    texts += [*ROOT.glob("runtime/*.md"), *ROOT.glob("ci/**/*.sh"), *ROOT.glob("tests/**/*.py")]
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in texts
        if path != Path(__file__) and "lib" not in path.parts
        for line in path.read_text(encoding="utf-8").splitlines()
        if wrong.search(line)
    ]
    assert found == []


def test_hints_name_extras_that_there_are() -> None:
    named = {"./runtime": RUNTIME / "pyproject.toml", ".": ROOT / "pyproject.toml"}
    call = re.compile(r"install_hint\(['\"](\w*)['\"](?:, ['\"](\.)['\"])?\)")
    calls = [
        match
        for path in [*ROOT.glob("compile/**/*.py"), *ROOT.glob("runtime/**/*.py")]
        for match in call.findall(path.read_text(encoding="utf-8"))
    ]
    assert {extra for extra, _ in calls} >= {"serve", "cuda", "rpc", "peers"}
    for extra, folder in calls:
        folder = folder or "./runtime"
        assert re.search(rf"^{extra} = \[", named[folder].read_text(encoding="utf-8"), re.M), (extra, folder)
        assert f"'{folder}[{extra}]'" in install_hint(extra, folder)

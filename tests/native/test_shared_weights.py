"""Weights behind `ovenbird_runtime.load(engine="native")`: the file's own pages, shared, and safe from writers."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from native.conftest import python
from ovenbird_runtime.manifest.manifest import Manifest, decode_target, file_record, target_bytes
from ovenbird_runtime.manifest.target import WeightTensor
from support.tiny_artifact import reseal

pytestmark = pytest.mark.slow
MB = 1 << 20
MORE_BYTES = 96 * MB
"""Behind the weights that the network reads: more than all else that a process takes."""
WRITER_SECONDS = 30  # the kernel's own patience is 45


def weights_of(artifact: Path) -> Path:
    (weights,) = (artifact / "weights").iterdir()
    return weights


@pytest.fixture
def own(detector: Path, tmp_path: Path) -> Path:
    """Return a copy of the detector that a test may change."""
    return Path(shutil.copytree(detector, tmp_path / "artifact"))


@pytest.fixture
def large(own: Path) -> Path:
    with weights_of(own).open("ab") as file:
        file.write(os.urandom(MB) * (MORE_BYTES // MB))
    reseal(own)
    return own


HELD = """
import sys
from pathlib import Path
import ovenbird_runtime

model = ovenbird_runtime.load(sys.argv[1], threads=2, engine="native")
print("ready", flush=True)
sys.stdin.readline()
found, inside = {}, False
for line in Path("/proc/self/smaps").read_text().splitlines():
    if "-" in line.partition(" ")[0]:
        inside = line.endswith(sys.argv[2])
    elif inside and line.startswith("Pss:"):
        found["mapped"] = found.get("mapped", 0) + int(line.split()[1])
rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()
(found["own"],) = (int(line.split()[1]) for line in rollup if line.startswith("Anonymous:"))
print(found["mapped"], found["own"])
"""


def test_two_processes_share_the_pages(site: Path, large: Path) -> None:
    path = weights_of(large)
    command = [sys.executable, "-c", HELD, str(large), path.name]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])}
    processes = []
    for _ in range(2):
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:  # both are asked while both are there
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    shares = [[1024 * int(word) for word in process.communicate()[0].split()] for process in processes]
    size = path.stat().st_size
    for mapped, of_its_own in shares:
        assert mapped < 0.6 * size
        assert of_its_own < MORE_BYTES


# argv: the artifact, how its weights change, and "held" where somebody has them open for writing all along.
SESSION = """
import gc, os, sys, threading, time
from pathlib import Path
import numpy as np
import ovenbird_runtime

artifact, change, held = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "held"
(path,) = (artifact / "weights").iterdir()
data = path.read_bytes()
other = bytes(255 - byte for byte in data)
open_elsewhere = path.open("r+b") if held else None
random = np.random.default_rng(0)
given = {"image": random.standard_normal((1, 3, 32, 32)).astype("float32"),
         "scale": random.standard_normal((1, 5)).astype("float32")}
models = [ovenbird_runtime.load(artifact, threads=1, engine="native") for _ in range(2)]
expected = models[0].run(given)
models.pop().close()  # what it mapped goes, what the first one did stays
gc.collect()
(model,) = models
stop, calls = threading.Event(), [0]

def ask():
    while not stop.is_set():
        found = model.run(given)
        assert all((found[name] == expected[name]).all() for name in expected), "another network answered"
        calls[0] += 1

def overwrite():
    with path.open("r+b") as file:
        file.write(other)

def truncate():
    os.truncate(path, 0)

def write_where_it_was_open():
    open_elsewhere.write(other)
    open_elsewhere.truncate()
    open_elsewhere.close()

def wait(calls_more):
    before = calls[0]
    while calls[0] - before < calls_more and thread.is_alive():
        time.sleep(0.001)

thread = threading.Thread(target=ask)
thread.start()
wait(3)
globals()[change]()
now = calls[0]
wait(3)
stop.set()
thread.join()
print(calls[0] > now, path.read_bytes() == data)
"""


@pytest.mark.parametrize("change", ["overwrite", "truncate"])
def test_a_writer_changes_no_answer(site: Path, own: Path, change: str) -> None:
    assert python(site, SESSION, own, change, "") == "True False\n"


def test_what_is_open_for_writing_is_copied(site: Path, own: Path) -> None:
    """No lease is to be had then."""
    assert python(site, SESSION, own, "write_where_it_was_open", "held") == "True False\n"


LEASED = """
import gc, os, sys
from pathlib import Path
import ovenbird_runtime

(path,) = (Path(sys.argv[1]) / "weights").iterdir()

def is_leased():
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    except BlockingIOError:
        return True
    return False

model = ovenbird_runtime.load(sys.argv[1], threads=1, engine="native")
found = [is_leased()]
model.close()
del model
gc.collect()
again = ovenbird_runtime.load(sys.argv[1], threads=1, engine="native")
again.close()
del again
gc.collect()
print(*found, is_leased())
"""


def test_the_lease_is_the_model_s(site: Path, own: Path) -> None:
    assert python(site, LEASED, own).split() == ["True", "False"]


FORKED = """
import os, sys
import ovenbird_runtime

model = ovenbird_runtime.load(sys.argv[1], threads=1, engine="native")
if os.fork() == 0:
    print("forked", flush=True)
    sys.stdin.read()
os._exit(0)
"""


def test_a_forked_child_keeps_no_lease(site: Path, own: Path) -> None:
    """Its parent, who alone can give way, is gone when somebody writes."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])}
    command = [sys.executable, "-c", FORKED, str(own)]
    child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "forked\n"
    child.wait()
    try:
        subprocess.run(["sh", "-c", ': > "$0"', str(weights_of(own))], check=True, timeout=WRITER_SECONDS)
    finally:
        child.communicate()


ANOTHER_USER = """
import ctypes, os, sys
from pathlib import Path
import numpy as np
import ovenbird_native, ovenbird_runtime

given = {"image": np.ones((1, 3, 32, 32), "float32"), "scale": np.ones((1, 5), "float32")}
(path,) = (Path(sys.argv[1]) / "weights").iterdir()
found = []
for rights in ("root's", "nobody's"):
    if rights == "nobody's":
        os.setgroups([]); os.setgid(65533); os.setuid(65533)
        assert ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == 0  # /proc/self is our own again
    model = ovenbird_runtime.load(sys.argv[1], threads=1, engine="native")
    found.append(model.run(given))
    print(path.name in Path("/proc/self/maps").read_text(), end=" ")
    model.close()
    del model
print(all((found[0][name] == found[1][name]).all() for name in found[0]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_another_user_s_file_is_copied(site: Path, detector: Path) -> None:
    """No lease is to be had there; nobody may reach pytest's own folders."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        artifact = Path(shutil.copytree(detector, Path(name) / "artifact"))
        assert python(site, ANOTHER_USER, artifact) == "True False True\n"


def test_an_empty_file_of_weights(site: Path, own: Path) -> None:
    """Which cannot be mapped: it holds tensors of no elements alone."""
    name = "weights/empty.bin"
    (own / name).touch()
    (path,) = own.glob("targets/*/target.json")
    target = decode_target(path.read_bytes())
    nothing = WeightTensor(name, 0, "float32", (0,))
    path.write_bytes(target_bytes(dataclasses.replace(target, tensors=(*target.tensors, nothing))))

    def with_it(manifest: Manifest) -> Manifest:
        return dataclasses.replace(manifest, files={**manifest.files, name: file_record(own / name)})

    reseal(own, with_it)
    code = "import sys, ovenbird_runtime; print(ovenbird_runtime.load(sys.argv[1], threads=1, engine='native').engine)"
    assert python(site, code, own) == "native\n"


GIVEN = """
import sys
from pathlib import Path
import numpy as np
from ovenbird_native import NativeError, _binding

class Given:
    def __init__(self, data, offset=0):
        self.room = np.zeros(len(data) + 128, np.uint8)
        start = -self.room.ctypes.data % 64 + offset
        self.bytes = memoryview(self.room[start : start + len(data)])
        self.bytes[:] = data

(path,) = (Path(sys.argv[1]) / "weights").iterdir()
data, name = path.read_bytes(), f"weights/{path.name}"
others = {
    "as it is": {name: Given(data)},
    "odd": {name: Given(data, 4)},
    "short": {name: Given(data[:-1])},
    "changed": {name: Given(bytes([data[0] ^ 1]) + data[1:])},
    "its last byte changed": {name: Given(data[:-1] + bytes([data[-1] ^ 1]))},
    "not of this artifact": {"weights/other.bin": Given(b"")},
    "none": {},
}
path.rename(path.with_suffix(".gone"))  # what is given is not looked for
for words, weights in others.items():
    try:
        _binding.Artifact(sys.argv[1].encode(), None, None, None, weights)
        print("taken")
    except NativeError as error:
        print(error.kind)
"""


def test_weights_in_memory_are_checked_as_the_file_is(site: Path, own: Path) -> None:
    kinds = python(site, GIVEN, own).split()
    assert kinds == ["taken", "WrongOption", "FileChanged", "FileChanged", "FileChanged", "FileMissing", "FileMissing"]


IN_AN_IMAGE = """
import os, sys
from pathlib import Path
import ovenbird_native

os.chroot(sys.argv[1])
os.chdir("/")
for path in ("/artifact", "/mnt/artifact"):
    model = ovenbird_native.load(path, threads=1)
    print(path in Path("/proc/self/maps").read_text(), end=" ")
    del model
"""
MOUNT = """
set -e
mkdir $1/shm && mount -t tmpfs tmpfs $1/shm && cd $1/shm && mkdir -p upper work root image volume
cp -r $1/artifact image; cp -r $1/artifact volume
mount -t overlay overlay -o $2 $1/shm/root
mount -t proc proc $1/shm/root/proc
mount --bind volume $1/shm/root/mnt && mount -o remount,bind,ro $1/shm/root/mnt
shift 2; exec "$@"
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize(
    "options", ["ro,lowerdir={0}/image:/", "lowerdir={0}/image:/,upperdir={0}/upper,workdir={0}/work"]
)
def test_an_image_with_a_read_only_root_is_mapped(site: Path, own: Path, options: str) -> None:
    """By the C++ runtime alone, without a lease; not where the root may be written to, nor a volume."""
    folder = own.parent
    command = ["unshare", "--mount", "sh", "-c", MOUNT, "sh", str(folder), options.format(folder / "shm")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])}
    command += [sys.executable, "-c", IN_AN_IMAGE, str(folder / "shm" / "root")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(f"no file systems of our own here: {done.stderr.splitlines()[0]}")
    assert (done.returncode, done.stdout) == (0, f"{options.startswith('ro')} False "), done.stderr

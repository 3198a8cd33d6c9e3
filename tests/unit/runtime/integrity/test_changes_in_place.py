"""What happens to the files of a loaded artifact changes no answer, ends no process, and lets no writer wait for long.

Each session runs in a process of its own, which a SIGBUS or a wrong answer would end.
"""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ovenbird_runtime
from ovenbird_runtime.integrity.leases import LeasedPages
from support.tiny_artifact import reseal

MB = 1 << 20
WRITER_SECONDS = 30  # the kernel's own patience is 45

# argv: the artifact, the file to change, how, and "held" where somebody has it open for writing all along.
SESSION = """
import os, shutil, subprocess, sys, threading, time
from pathlib import Path
import numpy as np
import ovenbird_runtime

artifact, name, change, held = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "held"
path = artifact / name
data = path.read_bytes()
other = bytes(255 - byte for byte in data[:100_000]) + data[100_000:]
open_elsewhere = path.open("r+b") if held else None
images = np.random.default_rng(0).standard_normal((5, 3, 32, 32)).astype("float32")
model = ovenbird_runtime.load(artifact, threads=1, workers=2)
expected = model.run({"image": images})
stop, calls = threading.Event(), [0, 0]

def ask(index):
    while not stop.is_set():
        given = model.run({"image": images})
        assert all((given[name] == expected[name]).all() for name in expected), "another network answered"
        calls[index] += 1

def overwrite():
    with path.open("r+b") as file:
        file.write(other)

def truncate():
    os.truncate(path, 0)

def replace_by_cp():
    Path(f"{artifact}.new").write_bytes(other)
    subprocess.run(["cp", f"{artifact}.new", path], check=True)

def shorten_and_grow():
    os.truncate(path, len(data) // 2)
    os.truncate(path, 4 * len(data))

def rename():
    Path(f"{artifact}.new").write_bytes(other)
    os.replace(f"{artifact}.new", path)

def remove_all():
    shutil.rmtree(artifact)

def write_where_it_was_open():
    open_elsewhere.write(other)
    open_elsewhere.truncate()
    open_elsewhere.close()

threads = [threading.Thread(target=ask, args=(index,)) for index in (0, 1)]
for thread in threads:
    thread.start()
before = list(calls)
while any(now - then < 3 for now, then in zip(calls, before)):
    time.sleep(0.001)
globals()[change]()
after = list(calls)
while any(now - then < 3 for now, then in zip(calls, after)) and all(thread.is_alive() for thread in threads):
    time.sleep(0.001)
stop.set()
for thread in threads:
    thread.join()
print("answered", all(calls[index] > after[index] for index in (0, 1)))
print("prediction", len(model.predict(np.zeros((40, 40, 3), "uint8"))))
"""

# The last call opens /proc/self to ourselves again, as it is to a process that was started so.
BECOME_NOBODY = """
import ctypes
os.setgroups([]); os.setgid(65533); os.setuid(65533)
PR_SET_DUMPABLE = 4
assert ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0
"""

CHANGES = ["overwrite", "truncate", "replace_by_cp", "shorten_and_grow", "rename", "remove_all"]
LOADED = ["weights", "targets/tiny/model.so"]
READ = ["targets/tiny/target.json", "manifest.json", "labels.txt", "evidence/golden.npz"]


def run(artifact: Path, name: str, change: str, held: bool = False) -> subprocess.CompletedProcess[str]:
    if name == "weights":
        name = f"weights/{next((artifact / 'weights').iterdir()).name}"
    code = f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n{SESSION}"
    arguments = [sys.executable, "-c", code, str(artifact), name, change, "held" if held else ""]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=WRITER_SECONDS + 10, check=False)


@pytest.mark.parametrize(
    ("name", "change"),
    [*itertools.product(LOADED, CHANGES), *itertools.product(READ, ["overwrite", "truncate"])],
)
def test_a_change_under_traffic(spoilt: Path, name: str, change: str) -> None:
    done = run(spoilt, name, change)
    assert (done.returncode, done.stdout) == (0, "answered True\nprediction 1\n"), done.stderr


def test_a_change_through_a_descriptor_that_was_open_before(spoilt: Path) -> None:
    """No lease is to be had then: the process has copied the weights."""
    done = run(spoilt, "weights", "write_where_it_was_open", held=True)
    assert (done.returncode, done.stdout) == (0, "answered True\nprediction 1\n"), done.stderr


def test_no_lease_on_another_user_s_file(tmp_path: Path) -> None:
    """The usual image: files of root's, a process of another user's."""
    if os.getuid() != 0:
        pytest.skip("only root may become another user")
    path = tmp_path / "weights"
    path.write_bytes(bytes(MB))
    code = f"""
import os, sys
sys.path[:0] = {[p for p in sys.path if p]!r}
from ovenbird_runtime.integrity.weights import MappedFile
descriptor = os.open(sys.argv[1], os.O_RDONLY)
print(MappedFile(descriptor, "w").shared)
{BECOME_NOBODY}
copy = MappedFile(descriptor, "w")
print(copy.shared, copy.size)
"""
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout == f"True\nFalse {MB}\n", done.stderr


def test_the_image_of_a_container(tmp_path: Path) -> None:
    """A process of no rights in a container with a read-only root shares the pages of a file of root's; in one whose
    root may be written to, or of a volume that is mounted read-only, it does not.
    """
    if os.getuid() != 0:
        pytest.skip("only root may mount")
    mount = "set -e; mkdir $1/shm && mount -t tmpfs tmpfs $1/shm && cd $1/shm && mkdir upper work root volume\n"
    mount += "mkdir -p image/artifact && cp $1/weights image/artifact\n"
    mount += "mount -t overlay overlay -o $2 $1/shm/root\n"
    mount += "mount -t proc proc $1/shm/root/proc\n"
    mount += "cp $1/weights volume; mount --bind volume $1/shm/root/mnt; mount -o remount,bind,ro $1/shm/root/mnt\n"
    mount += 'shift 2; exec "$@"'
    code = f"""
import os, sys
sys.path[:0] = {[p for p in sys.path if p]!r}
import numpy
from ovenbird_runtime.integrity.weights import MappedFile
os.chroot(sys.argv[1])
os.chdir("/")
descriptors = [os.open(path, os.O_RDONLY) for path in ("/artifact/weights", "/mnt/weights")]
{BECOME_NOBODY}
print([MappedFile(descriptor, "w").shared for descriptor in descriptors])
"""
    (tmp_path / "weights").write_bytes(bytes(MB))
    root = f"{tmp_path}/shm/root"
    found = {}
    for kind, options in {
        "read-only": f"ro,lowerdir={tmp_path}/shm/image:/",
        "writable": f"lowerdir={tmp_path}/shm/image:/,upperdir={tmp_path}/shm/upper,workdir={tmp_path}/shm/work",
    }.items():
        command = ["unshare", "--mount", "sh", "-c", mount, "sh", str(tmp_path), options]
        command += [sys.executable, "-c", code, root]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        (tmp_path / "shm").rmdir()
        if "mount:" in done.stderr or "unshare:" in done.stderr:
            pytest.skip(f"no file systems of our own here: {done.stderr.splitlines()[0]}")
        found[kind] = done.stdout.strip()
        assert done.returncode == 0, done.stderr
    assert found == {"read-only": "[True, False]", "writable": "[False, False]"}


def test_the_writer_goes_on_at_once_and_the_pages_stay(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    data = np.random.default_rng(0).bytes(16 * MB)
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    pages = LeasedPages.of(descriptor)
    os.close(descriptor)
    assert pages is not None
    assert pages.wanted is False
    subprocess.run(
        ["dd", "if=/dev/zero", f"of={path}", "bs=5", "count=1", "status=none"], check=True, timeout=WRITER_SECONDS
    )
    assert path.read_bytes() == bytes(5)
    assert pages.map[:] == data


def test_a_lease_ends_with_its_pages(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(bytes(MB))
    before = set(Path("/proc/self/fd").iterdir())
    with path.open("rb") as file:
        pages = LeasedPages.of(file.fileno())
    assert pages is not None
    del pages
    assert set(Path("/proc/self/fd").iterdir()) == before
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))  # would be EWOULDBLOCK under a lease


def test_a_forked_child_keeps_no_lease(tmp_path: Path) -> None:
    """Its parent may be gone by the time somebody writes, and only the parent's thread can give way."""
    path = tmp_path / "weights"
    path.write_bytes(bytes(MB))
    code = f"""
import os, sys
sys.path[:0] = {[p for p in sys.path if p]!r}
import ovenbird_runtime
from ovenbird_runtime.integrity.leases import LeasedPages
with open(sys.argv[1], "rb") as file:
    pages = LeasedPages.of(file.fileno())
if os.fork() == 0:
    with open(sys.argv[1], "rb") as file:
        again = LeasedPages.of(file.fileno())  # has a thread of its own
    print(again is not None, flush=True)
    sys.stdin.read()
    os._exit(0)
os._exit(0)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline() == "True\n"
    try:
        subprocess.run(["sh", "-c", ': > "$0"', str(path)], check=True, timeout=WRITER_SECONDS)
    finally:
        child.communicate()


def test_several_processes_give_way(spoilt: Path) -> None:
    path = next((spoilt / "weights").iterdir())
    with path.open("ab") as file:
        file.write(bytes(8 * MB))
    reseal(spoilt)
    code = f"""
import sys
sys.path[:0] = {[p for p in sys.path if p]!r}
import numpy, ovenbird_runtime
model = ovenbird_runtime.load(sys.argv[1], threads=1)
images = {{"image": numpy.ones((1, 3, 32, 32), "float32")}}
expected = model.run(images)["logits"]
print("ready", flush=True)
sys.stdin.readline()
print((model.run(images)["logits"] == expected).all(), flush=True)
"""
    command = [sys.executable, "-c", code, str(spoilt)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        subprocess.run(["sh", "-c", ': > "$0"', str(path)], check=True, timeout=WRITER_SECONDS)
    finally:
        outputs = [child.communicate("\n")[0] for child in children]
    assert outputs == ["True\n"] * 3


def test_a_closed_model_holds_no_lease(spoilt: Path) -> None:
    path = next((spoilt / "weights").iterdir())
    model = ovenbird_runtime.load(spoilt, threads=1)
    with pytest.raises(BlockingIOError):
        os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    model.close()
    del model
    gc.collect()
    again = ovenbird_runtime.load(spoilt, threads=1)  # nothing was changed, and there is a lease to be had again
    again.close()
    del again
    gc.collect()
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

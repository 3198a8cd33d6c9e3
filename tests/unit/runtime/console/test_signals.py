"""A signal ends a command with its own exit code, wherever in Python or in C it comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import os, signal, sys, time
from ovenbird_runtime.console.signals import end_on_signals, exit_if_signalled

def strike():
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass

end_on_signals()
"""
PLACES = {
    "an import that makes an error of what it meets, as C code does": """
import spoiling
time.sleep(60)
""",
    "a finalizer, which may raise nothing": """
class Object:
    def __del__(self):
        strike()

del [Object()][0]
time.sleep(60)
""",
    "what must not be left half done": """
from ovenbird_runtime.console.signals import undisturbed
done = False
try:
    with undisturbed():
        strike()
        done = True
    time.sleep(60)
finally:
    assert done
""",
    "code that drops it and goes on": """
try:
    strike()
except BaseException:
    pass
time.sleep(60)
""",
    "an end that takes longer than the signal waits to come again": """
try:
    strike()
finally:
    time.sleep(1)
    print("cleared away")
""",
    "an end after an end that was dropped, in threads' and Python's own": """
import atexit, threading
atexit.register(time.sleep, 0.5)
threading.Thread(target=time.sleep, args=(1,)).start()
try:
    strike()
except BaseException:
    pass
time.sleep(60)
""",
    "work that makes an error of what it meets": """
try:
    try:
        strike()
    except BaseException:
        raise OSError("half done") from None
except OSError:
    exit_if_signalled()
    sys.exit(1)
""",
}
SPOILING = """
import sys
try:
    sys.modules["__main__"].strike()
except BaseException as error:
    raise ImportError("multiarray failed to import") from error
"""


@pytest.mark.parametrize("place", PLACES)
def test_a_signal_is_not_lost_in(tmp_path: Path, place: str) -> None:
    (tmp_path / "spoiling.py").write_text(SPOILING)
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + PLACES[place]],
        env=os.environ | {"PYTHONPATH": path}, timeout=60, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, "")
    assert done.stdout == ("cleared away\n" if "cleared away" in PLACES[place] else "")

"""Rules for every test session; fixtures live beside the tests that use them.

make test                     # every group, each in a process of its own
make test TESTS=tests/unit/runtime
"""

import atexit
import gc
import os
import signal
from pathlib import Path

import pytest

from support.reporting import pytest_runtest_makereport, report

__all__ = ["pytest_runtest_makereport", "report"]

ROOT = Path(__file__).resolve().parent.parent

# Groups of tests share the processors. A thread of torch or TVM that waits for another, which has none, gives its own
# up then: by default it turns in a loop meanwhile, up to ten times the processor time of the work itself.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("TVM_THREAD_POOL_SPIN_COUNT", "0")


def pytest_configure() -> None:
    """Ignore no signal, so that programs under test do not either: `nohup` and a shell's `&` hand that down.

    Look for circles of objects seldom, and at the end not at all: torch and TVM make a million that stay.
    """
    gc.set_threshold(50_000, 20, 100)
    atexit.register(gc.freeze)
    for number, handler in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGHUP, signal.SIG_DFL),
        (signal.SIGTERM, signal.SIG_DFL),
    ):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to mix tests of the runtime's engine with tests that import the compiler's TVM.

    Both bring a libtvm_runtime; two copies in one process register the same types twice.
    """
    unit = {
        item.path.relative_to(ROOT / "tests" / "unit").parts[0]
        for item in session.items
        if item.path.is_relative_to(ROOT / "tests" / "unit")
    }
    if {"runtime", "compile"} <= unit:
        raise pytest.UsageError(
            "tests/unit/runtime and tests/unit/compile cannot share a process (two TVM runtimes); "
            "run `make test`, or one of them at a time"
        )

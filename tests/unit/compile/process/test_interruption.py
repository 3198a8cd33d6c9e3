"""A signal ends the work, even one whose exception was lost on the way."""

import contextlib
import importlib
import os
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from ovenbird.errors import TuningInterrupted
from ovenbird.process import interruption
from ovenbird.process.interruption import Interruption, Stopped, catching, unwind
from ovenbird.process.progress import Progress
from ovenbird.tuning.table import Display, Stoppable, TuningMoment
from support.interrupting import interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_unwinds_and_the_handler_is_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def work() -> None:
        with Interruption(Progress()):
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Stopped):
        work()
    assert signal.getsignal(number) is before


def test_a_lost_exception_ends_the_next_step() -> None:
    with Interruption(Progress()) as step:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except Stopped:
            pass  # as Python does in a finalizer
        with pytest.raises(Stopped):
            step("the next step")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_error_after_a_signal_is_the_signals(number: signal.Signals) -> None:
    """An import that a signal stopped leaves half a module: the next import of it fails otherwise."""

    def work() -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        except (Stopped, KeyboardInterrupt):
            raise ImportError("cannot load module more than once per process") from None

    def piece() -> None:
        with Interruption(Progress()):
            work()

    with pytest.raises(Stopped):
        unwind(work)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else Stopped):
        piece()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_tuning_run_ends_at_its_next_step_and_says_what_is_kept(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def work() -> None:
        shown = Stoppable(Display())
        with catching(shown.stop):
            os.kill(os.getpid(), number)
            time.sleep(0.01)  # nothing is raised here
            try:
                shown.update(TuningMoment("tuning", [], [], 0.0, 0, 1, None))
            except KeyboardInterrupt:
                raise TuningInterrupted("every record is kept") from None

    with pytest.raises(TuningInterrupted, match="every record is kept"):
        unwind(work)
    assert signal.getsignal(number) is before


def test_a_second_signal_ends_a_tuning_run_at_once() -> None:
    def work() -> None:
        with catching(Stoppable(Display()).stop):
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        work()


def test_an_error_without_a_signal_stays_itself() -> None:
    def work() -> None:
        with Interruption(Progress()):
            raise ImportError("no such module")

    with pytest.raises(ImportError, match="no such module"):
        unwind(work)


MODULE = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.{number})
    end = time.monotonic() + {seconds}
    while time.monotonic() < end:
        pass
finally:
    os.environ["TEST_IMPORTED"] = str(time.monotonic() >= end)
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("whole", [True, False])
def test_an_import_is_not_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: str, whole: bool) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TEST_IMPORTED", "")
    monkeypatch.setattr(interruption, "IMPORT_LIMIT_S", 60.0 if whole else 0.1)
    name = f"imported_{number.lower()}_{whole}".lower()
    (tmp_path / f"{name}.py").write_text(MODULE.format(number=number, seconds=0.3 if whole else 60))

    def work() -> None:
        importlib.import_module(name)
        time.sleep(60)

    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(Stopped):
        unwind(work)
    assert os.environ["TEST_IMPORTED"] == str(whole)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_another_thread_works_without_signals() -> None:
    reported: list[str] = []

    class Listening(Progress):
        def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
            reported.append(text)

    def work() -> None:
        with Interruption(Listening()) as step:
            step("step")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert reported == ["step"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_whole_command_is_unwound(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def work() -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    with pytest.raises(Stopped):
        unwind(work)
    assert signal.getsignal(number) is before


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def work() -> None:
        with Interruption(Progress()) as step:
            os.kill(os.getpid(), signal.SIGHUP)
            step("a step")

    try:
        unwind(work)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what was interrupted closes its files late
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_any_step_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = signal.getsignal(number)

    def strike() -> None:
        if signal.getsignal(number) != before:  # else it would end the tests
            signal.raise_signal(number)

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "file").write_text("half")
            tempfile.mkdtemp()

    def command() -> None:
        with contextlib.suppress(Stopped):
            unwind(work)

    for at in range(2000):
        whole = not interrupted(command, at, strike, interruption, tempfile, shutil)
        assert list(tmp_path.iterdir()) == [], at
        assert tempfile.gettempdir() == str(tmp_path)
        assert signal.getsignal(number) == before
        if whole:
            break
    assert 50 < at < 1999

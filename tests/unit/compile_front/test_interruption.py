"""A signal ends the work, even one whose exception was lost on the way."""

import os
import signal
import threading
import time

import pytest

from ovenbird.interruption import Interruption, Stopped, unwinding
from ovenbird.progress import Progress


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
    with Interruption(Progress()) as tell:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except Stopped:
            pass  # as Python does in a finalizer
        with pytest.raises(Stopped):
            tell("the next step")


def test_another_thread_works_without_signals() -> None:
    told: list[str] = []

    class Listening(Progress):
        def __call__(self, text: str, done: int = 0, total: int = 0) -> None:
            told.append(text)

    def work() -> None:
        with Interruption(Listening()) as tell:
            tell("step")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert told == ["step"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_whole_command_is_unwound(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def work() -> None:
        with unwinding():
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(Stopped):
        work()
    assert signal.getsignal(number) is before


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with unwinding(), Interruption(Progress()) as tell:
            os.kill(os.getpid(), signal.SIGHUP)
            tell("a step")
    finally:
        signal.signal(signal.SIGHUP, before)

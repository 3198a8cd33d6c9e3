"""A signal ends the work, even one whose exception was lost on the way."""

import os
import signal
import threading
import time

import pytest

from ovenbird.interruption import Interruption
from ovenbird.progress import Progress


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_unwinds_and_the_handler_is_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    def work() -> None:
        with Interruption(Progress()):
            os.kill(os.getpid(), number)
            time.sleep(5)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert signal.getsignal(number) is before


def test_a_lost_exception_ends_the_next_step() -> None:
    with Interruption(Progress()) as tell:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except KeyboardInterrupt:
            pass  # as Python does in a finalizer
        with pytest.raises(KeyboardInterrupt):
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

"""Messages are one printable line, whatever an attacker put into a name."""

import inspect

import pytest

from ovenbird_runtime import errors
from ovenbird_runtime.limits import MAX_MESSAGE_CHARS

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.OvenbirdError)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: str(kind.__name__))
def test_every_error_says_what_it_is_for(kind: type[errors.OvenbirdError]) -> None:
    assert kind.__doc__
    assert str(kind("what, the value, the limit")) == "what, the value, the limit"


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "a\r\n", "\u202eevil", "\ud800", "\0"])
def test_control_characters_are_escaped(text: str) -> None:
    message = str(errors.OvenbirdError(text))
    assert message.isprintable()
    message.encode("utf-8")


def test_long_messages_are_cut() -> None:
    assert len(str(errors.OvenbirdError("x" * 10_000))) == MAX_MESSAGE_CHARS


@pytest.mark.parametrize("value", ["x" * 10_000, [10**5000], [1] * 10_000, None, b"\xff", float("nan")])
def test_shown_values_are_short(value: object) -> None:
    assert len(errors.shown(value)) <= 90
    assert errors.shown(value).isprintable()


def test_errors_have_their_families() -> None:
    assert issubclass(errors.FileChanged, errors.ArtifactError)
    assert issubclass(errors.MissingCpuFeatures, errors.MachineError)
    assert issubclass(errors.WrongShape, errors.InputError)
    assert issubclass(errors.ImageTooLarge, errors.ImageError)

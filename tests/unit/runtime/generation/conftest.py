"""The tiny captioner, loaded once for a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import ovenbird_runtime
from ovenbird_runtime.model import Model
from support.captioner_artifact import RightTexts, captioner_artifact, right_texts
from support.real_data import test_data

__all__ = ["test_data"]


@pytest.fixture(scope="module")
def captioner() -> Iterator[Model]:
    """The tiny captioner."""
    with ovenbird_runtime.load(captioner_artifact(), threads=2) as model:
        yield model


@pytest.fixture(scope="module")
def right() -> RightTexts:
    """Pictures and the texts that are right for them."""
    return right_texts()

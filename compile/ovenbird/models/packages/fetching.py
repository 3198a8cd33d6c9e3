"""What others' libraries fetch: soon there, or soon refused in one line.

state = fetched("timm's weights for resnet18", load)
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from ovenbird.errors import WeightsUnavailable
from ovenbird.models._default_weights import FETCH_TIMEOUT_S, INSTEAD

T = TypeVar("T")
SETTINGS = {"HF_HUB_ETAG_TIMEOUT": "5", "HF_HUB_DOWNLOAD_TIMEOUT": "10", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""What huggingface_hub reads where the user has said nothing."""


def fetched(what: str, fetch: Callable[[], T]) -> T:
    """Return what `fetch` returns. Raises WeightsUnavailable with the reason where it cannot."""
    try:
        with quiet_libraries():
            return fetch()
    except (OSError, RuntimeError, ValueError, KeyError, ImportError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[0] if lines else type(error).__name__
        raise WeightsUnavailable(f"{what} cannot be had: {type(error).__name__}: {reason[:200]}; {INSTEAD}") from None


def check_hub(repository: str, instead: str = INSTEAD) -> None:
    """Refuse at once what the hub would be asked for in vain: its own client asks six times, with pauses between.

    Raises WeightsUnavailable where the hub cannot be reached and nothing of the repository lies in its cache.
    """
    with quiet_libraries():
        import huggingface_hub
        from huggingface_hub import constants, file_download

        try:
            folder = file_download.repo_folder_name(repo_id=repository, repo_type="model")
            place = huggingface_hub.hf_hub_url(repository, "config.json")
        except ValueError as error:
            raise WeightsUnavailable(f"{repository} is no name on the hub: {error}; {instead}") from None
        if Path(constants.HF_HUB_CACHE, folder).is_dir() or constants.HF_HUB_OFFLINE:
            return
        try:
            huggingface_hub.get_session().head(place, timeout=FETCH_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001 - of the HTTP library that the client happens to use
            reason = f"{type(error).__name__}: {error}"[:100]
            raise WeightsUnavailable(
                f"{repository} cannot be had: {constants.ENDPOINT} does not answer ({reason}); {instead}"
            ) from None


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep others' remarks off standard output, and their waiting short."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    before, logged = socket.getdefaulttimeout(), logging.root.manager.disable
    socket.setdefaulttimeout(FETCH_TIMEOUT_S)
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    finally:
        socket.setdefaulttimeout(before)
        logging.disable(logged)

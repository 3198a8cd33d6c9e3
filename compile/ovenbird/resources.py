"""Where the folders that come with the compiler lie: next to the package in a checkout, inside it when installed.

resource_folder("targets")      # .../targets in a clone, .../site-packages/ovenbird/_targets in an installation
"""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
CACHE_VARIABLE = "OVENBIRD_CACHE"


def resource_folder(name: str) -> Path:
    """Return the folder `name` (`targets`, `tuning_logs`) of the installation or the checkout this code runs from."""
    installed = PACKAGE / f"_{name}"
    return installed if installed.is_dir() else PACKAGE.parents[1] / name


def sources_folder() -> Path:
    """Return the folder that holds `runtime/` and `ci/constraints.txt`, which images are built from."""
    installed = PACKAGE / "_sources"
    return installed if installed.is_dir() else PACKAGE.parents[1]


def tuning_folders() -> tuple[Path, ...]:
    """Return the folders of tuning logs, the one that is written first: a checkout's, or the current folder's.

    What an installation brings is read only: it may belong to another user, and goes with the next version.
    """
    brought = resource_folder("tuning_logs")
    return (Path("tuning_logs"), brought) if brought.parent == PACKAGE else (brought,)


def cache_folder() -> Path:
    """Return the folder of what this user's compiles keep on this machine, which need not exist.

    It is `$OVENBIRD_CACHE`, else `ovenbird` in `$XDG_CACHE_HOME` or `~/.cache`.
    """
    if given := os.environ.get(CACHE_VARIABLE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ovenbird"


def data_file(name: str) -> Path:
    """Return a file of the package's own `data/` folder (photographs that verification uses)."""
    return PACKAGE / "data" / name

"""Where the folders that come with the compiler lie: beside the package in a checkout, inside it when installed.

resource_folder("targets")      # .../targets in a clone, .../site-packages/ovenbird/_targets in an installation
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def resource_folder(name: str) -> Path:
    """Give the folder `name` (`targets`, `tuning_logs`) of the installation or the checkout this code runs from."""
    installed = PACKAGE / f"_{name}"
    return installed if installed.is_dir() else PACKAGE.parents[1] / name


def data_file(name: str) -> Path:
    """Give a file of the package's own `data/` folder (photographs that verification uses)."""
    return PACKAGE / "data" / name

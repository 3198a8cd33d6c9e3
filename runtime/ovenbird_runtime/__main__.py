"""The program `ovenbird-rt`, and `python -m ovenbird_runtime`: signals are caught, then the rest is imported."""

from __future__ import annotations

import sys

from ovenbird_runtime.console.signals import CAUGHT, end_on_signals


def main(prog_name: str = "ovenbird-rt") -> None:
    """Run the command line; ends the process."""
    if sys.argv[1:2] == ["serve"]:
        CAUGHT.catch()
    else:
        end_on_signals()
    try:
        from ovenbird_runtime.cli import main as commands
    except KeyboardInterrupt:
        sys.exit(1)
    commands(prog_name=prog_name)


if __name__ == "__main__":
    main()

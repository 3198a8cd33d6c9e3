"""The load test's modules are scripts of ci/load, which import each other by name."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[4] / "ci" / "load"))

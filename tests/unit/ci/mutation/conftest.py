"""The module under test is a script of ci/mutation."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[4] / "ci" / "mutation"))

"""Why torch did not read a file, in one line and without torch's advice to read it all the same.

try:
    torch.load(path, weights_only=True)
except Exception as error:
    raise WeightsUnreadable(f"weights {path}: {why_unread(error)}") from None
"""

from __future__ import annotations

import pickle
import re


def why_unread(error: Exception) -> str:
    """Return what was wrong with the file: of a pickle, what it holds that is no tensor."""
    text = str(error).strip()
    if isinstance(error, pickle.UnpicklingError):
        if named := re.search(r"GLOBAL ([\w.]+)", text):
            return f"it holds {named[1]}, which is code"
        return "it is no pickle of tensors alone"
    return text.splitlines()[0] if text else type(error).__name__

"""A model's name: one definition that holds for a file, a manifest, a route, a label and an image's tag.

    check_model_name("resnet50.v2")                # gives it back, or raises WrongModelName
    model_name_from("package.module:callable")     # "package.module-callable"

ASCII letters and digits, `.`, `_` and `-`; 1 to 128 of them; the first a letter or a digit. So a name is no path, no
hidden file, no option and no part of a URL that needs escaping (RFC 3986, unreserved characters).
"""

from __future__ import annotations

import re
import unicodedata

from ..errors import WrongModelName, shown
from ..limits import MAX_NAME_CHARS

_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.\-]{{0,{MAX_NAME_CHARS - 1}}}")
_NAMELESS = "model"


def check_model_name(name: str) -> str:
    """Return `name` where it is one. Raises WrongModelName, which says what name would do."""
    if not _NAME.fullmatch(name):
        raise WrongModelName(
            f"{shown(name)} is no model's name: 1 to {MAX_NAME_CHARS} letters, digits, '.', '_' or '-', "
            f"the first a letter or digit, such as {model_name_from(name)}"
        )
    return name


def model_name_from(text: str) -> str:
    """Return the name closest to `text`: a name stays as it is, and what no name holds becomes one '-'."""
    if _NAME.fullmatch(text):
        return text
    plain = unicodedata.normalize("NFKD", text[: 8 * MAX_NAME_CHARS]).encode("ascii", "ignore").decode("ascii")
    joined = re.sub(r"[^A-Za-z0-9_.\-]+", "-", plain).lstrip("._-")
    return joined[:MAX_NAME_CHARS].rstrip("-") or _NAMELESS

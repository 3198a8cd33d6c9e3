"""The dtype of values in a GPU's memory, by the precision asked for; inputs, outputs and sums stay float32.

Example: `DTYPES["f16"]` is "float16".
"""

from __future__ import annotations

from typing import Literal

from ovenbird_runtime.manifest.agreement import Precision

FloatDtype = Literal["float32", "float16"]

DTYPES: dict[Precision, FloatDtype] = {"f32": "float32", "f16": "float16"}

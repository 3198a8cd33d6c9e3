"""Ovenbird's runtime in C++: runs compiled artifacts with numpy and nothing else.

import ovenbird_native

model = ovenbird_native.load("artifacts/resnet50")
model.run({"image": batch})["logits"]            # float32 [N, 1000], any N >= 1
model.predict("photo.jpg")[0]["classes"]         # what `ovenbird-rt run --json` prints
"""

from __future__ import annotations

from .errors import NativeError
from .model import Model, TensorSpec, load
from .version import __version__

__all__ = ["Model", "NativeError", "TensorSpec", "__version__", "load"]

"""The converter of every ONNX operator that is translated; what is not here may be a function by the standard.

A family has a file, which ends with its own table:

    SCATTERS: dict[str, Converter] = {"ScatterND": scatter_nd}

A converter takes a `Node` and returns a Relax expression, a tuple of them for several outputs, or arrays where the
result is known while importing. Keys are names of the standard's operators; those of another domain are written
"com.microsoft.FusedConv". A later table overrides an earlier one; TVM's own converters (`tvms_own`) come first, so any
family overrides them.
"""

from __future__ import annotations

from ovenbird.networks.onnx.converters.indexing import INDEXING
from ovenbird.networks.onnx.converters.recurrent import RECURRENT
from ovenbird.networks.onnx.converters.regions import REGIONS
from ovenbird.networks.onnx.converters.tvms_own import TVMS_OWN
from ovenbird.networks.onnx.node import Converter

CONVERTERS: dict[str, Converter] = {
    **TVMS_OWN,
    **INDEXING,
    **RECURRENT,
    **REGIONS,
}

"""The converter of every ONNX operator that is translated; what is not here may be a function by the standard.

A family has a file, which ends with its own table:

    SCATTERS: dict[str, Converter] = {"ScatterND": scatter_nd}

A converter takes a `Node` and returns a Relax expression, a tuple of them for several outputs, or arrays where the
result is known while importing. Keys are names of the standard's operators; those of another domain are written
"com.microsoft.FusedConv". A later table overrides an earlier one; TVM's own converters (`tvms_own`) come first, so any
family overrides them.
"""

from __future__ import annotations

from ovenbird.networks.onnx.converters.arithmetic import ARITHMETIC
from ovenbird.networks.onnx.converters.columns import COLUMNS
from ovenbird.networks.onnx.converters.control import CONTROL
from ovenbird.networks.onnx.converters.convolutions import CONVOLUTIONS
from ovenbird.networks.onnx.converters.elementwise import ELEMENTWISE
from ovenbird.networks.onnx.converters.indexing import INDEXING
from ovenbird.networks.onnx.converters.matrices import MATRICES
from ovenbird.networks.onnx.converters.normalizations import NORMALIZATIONS
from ovenbird.networks.onnx.converters.padding import PADDING
from ovenbird.networks.onnx.converters.pooling import POOLING
from ovenbird.networks.onnx.converters.quantization import QUANTIZATION
from ovenbird.networks.onnx.converters.recurrent import RECURRENT
from ovenbird.networks.onnx.converters.reductions import REDUCTIONS
from ovenbird.networks.onnx.converters.regions import REGIONS
from ovenbird.networks.onnx.converters.resize import RESIZE
from ovenbird.networks.onnx.converters.sequences import SEQUENCES
from ovenbird.networks.onnx.converters.shapes import SHAPES
from ovenbird.networks.onnx.converters.tvms_own import TVMS_OWN
from ovenbird.networks.onnx.node import Converter

CONVERTERS: dict[str, Converter] = {
    **TVMS_OWN,
    **ARITHMETIC,
    **COLUMNS,
    **CONTROL,
    **CONVOLUTIONS,
    **ELEMENTWISE,
    **INDEXING,
    **MATRICES,
    **NORMALIZATIONS,
    **PADDING,
    **POOLING,
    **QUANTIZATION,
    **RECURRENT,
    **REDUCTIONS,
    **REGIONS,
    **RESIZE,
    **SEQUENCES,
    **SHAPES,
}

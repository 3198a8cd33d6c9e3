"""The converter of every ONNX operator that is translated; what is not here may be a function by the standard.

A family of operators has a file, which ends with its own table:

    SCATTERS: dict[str, OnnxConverter] = {"ScatterND": scatter_nd}

A converter takes a `Node` and returns a Relax expression, a tuple of them for several outputs, or arrays where the
result is known while importing. Keys are names of the standard's operators; those of another domain are written
"com.microsoft.FusedConv". None of TVM's own importer's converters are used: they take shapes for values of the network.
"""

from __future__ import annotations

from ovenbird.networks.onnx.converters.images.columns import COLUMNS
from ovenbird.networks.onnx.converters.images.resize import RESIZE
from ovenbird.networks.onnx.converters.indexing import INDEXING
from ovenbird.networks.onnx.converters.layers.convolutions import CONVOLUTIONS
from ovenbird.networks.onnx.converters.layers.matrices import MATRICES
from ovenbird.networks.onnx.converters.layers.normalizations import NORMALIZATIONS
from ovenbird.networks.onnx.converters.layers.pooling import POOLING
from ovenbird.networks.onnx.converters.layers.spectra import SPECTRA
from ovenbird.networks.onnx.converters.maps.arithmetic import ARITHMETIC
from ovenbird.networks.onnx.converters.maps.elementwise import ELEMENTWISE
from ovenbird.networks.onnx.converters.maps.reductions import REDUCTIONS
from ovenbird.networks.onnx.converters.microsoft.fused import FUSED
from ovenbird.networks.onnx.converters.microsoft.quantized import QUANTIZED
from ovenbird.networks.onnx.converters.quantization import QUANTIZATION
from ovenbird.networks.onnx.converters.recurrent import RECURRENT
from ovenbird.networks.onnx.converters.regions import REGIONS
from ovenbird.networks.onnx.converters.structure.control import CONTROL
from ovenbird.networks.onnx.converters.structure.gathers import GATHERS
from ovenbird.networks.onnx.converters.structure.padding import PADDING
from ovenbird.networks.onnx.converters.structure.sequences import SEQUENCES
from ovenbird.networks.onnx.converters.structure.shapes import SHAPES
from ovenbird.networks.onnx.node import OnnxConverter

CONVERTERS: dict[str, OnnxConverter] = {
    **ARITHMETIC,
    **COLUMNS,
    **CONTROL,
    **CONVOLUTIONS,
    **ELEMENTWISE,
    **FUSED,
    **GATHERS,
    **INDEXING,
    **MATRICES,
    **NORMALIZATIONS,
    **PADDING,
    **POOLING,
    **QUANTIZATION,
    **QUANTIZED,
    **RECURRENT,
    **REDUCTIONS,
    **REGIONS,
    **RESIZE,
    **SEQUENCES,
    **SHAPES,
    **SPECTRA,
}

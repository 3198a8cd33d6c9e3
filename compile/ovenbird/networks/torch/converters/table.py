"""torch operators that TVM's importer lacks, or reads otherwise than torch computes them.

from tvm.relax.frontend.torch import from_exported_program
from_exported_program(program, custom_convert_map=torch_operators())

Every converter is a line of this table; the families are in files of their own.
"""

from __future__ import annotations

from ovenbird.networks.torch.converters.converter import Converter


def torch_operators() -> dict[str, Converter]:
    """Return the converters by the operator's name and overload, as torch.export writes them."""
    from tvm import relax

    from ovenbird.networks.torch.converters.normalizations import group_norm
    from ovenbird.networks.torch.converters.reductions import extreme
    from ovenbird.networks.torch.converters.resizing import bilinear, nearest

    return {
        "amax.default": extreme(relax.op.max),
        "amin.default": extreme(relax.op.min),
        "native_group_norm.default": group_norm,
        "upsample_bilinear2d.vec": bilinear,
        "upsample_nearest2d.vec": nearest,
    }

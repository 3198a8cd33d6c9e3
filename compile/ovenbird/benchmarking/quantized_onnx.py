"""The peers' network in eight bits: ONNX Runtime's quantizer writes QDQ into the ONNX file, which OpenVINO reads, too.

    why = quantize_onnx(path, network, inputs)     # "" or why the peers have none

Ranges follow from what `ovenbird compile --precision int8` calibrates on without a data set, and from the inputs that
the engines are compared on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.backends.table import BACKENDS
from ovenbird.errors import BuildFailed, ExtraMissing
from ovenbird.networks.network import Network
from ovenbird.networks.onnx.files.quantizing import quantize_file
from ovenbird.quantize.calibration.pictures import find_pictures
from ovenbird.targets import load_target

PICTURES = 16


def quantize_onnx(path: Path, network: Network, inputs: Mapping[str, Any]) -> str:
    """Quantize an ONNX file of fixed shapes where it lies; return why that cannot be done, or nothing."""
    host = load_target("host")
    narrow = BACKENDS[host.kind].wants_narrow(host)  # as its documentation has it: else its sums saturate
    try:
        quantize_file(path, _feeds(network, inputs), "max", narrow)
    except (BuildFailed, ExtraMissing) as error:  # the peers are left out
        return str(error)
    return ""


def _feeds(network: Network, inputs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return whole batches: the inputs that engines are compared on, then pictures."""
    feeds = [dict(inputs)]
    for row in find_pictures(network, None).rows[:PICTURES]:
        given = zip(network.inputs, inputs.values(), row, strict=True)
        feeds.append(
            {
                spec.name: np.repeat(one, len(like), axis=0) if spec.batched and len(one) == 1 else one
                for spec, like, one in given
            }
        )
    return feeds

"""Write the network that an artifact was compiled from as ONNX with a free batch size, for other servers to serve.

python ci/load/export_onnx.py resnet50 random:0 build/load/resnet50.onnx
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import torch

from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions

OPSET = 17


def main(name: str, weights: str, path: Path) -> None:
    """Export with torch's own exporter; inputs and outputs are named as the artifact's."""
    network = load_network(name, NetworkOptions(weights=weights))
    source: Any = network.source
    path.parent.mkdir(parents=True, exist_ok=True)
    inputs, outputs = [spec.name for spec in network.inputs], [spec.name for spec in network.outputs]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            source.traced.flat,
            source.traced.with_batch(1),
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={tensor: {0: "N"} for tensor in (*inputs, *outputs)},
        )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))

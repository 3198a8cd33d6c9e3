"""A network as an ONNX file, for those who read that: the benchmark's peers, and ONNX Runtime's quantizer.

export_onnx(network, Path("net-b8.onnx"), 8)        # for eight rows
export_onnx(network, Path("net.onnx"), None)        # for any number of rows
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.errors import NetworkUntraceable
from ovenbird.networks.import_errors import reason

if TYPE_CHECKING:
    from ovenbird.networks.network import Network

OPSET = 17


def export_onnx(network: Network, path: Path, batch: int | None) -> None:
    """Write a network of torch for `batch` rows; None: for any number where the network leaves it open.

    Raises NetworkUntraceable where torch.onnx cannot.
    """
    import torch

    source: Any = network.source
    examples = source.traced.with_batch(batch or 1) if network.batched else source.traced.examples
    batched = [spec.name for spec in (*network.inputs, *network.outputs) if spec.batched]
    mha: Any = torch.backends.mha
    fast = mha.get_fastpath_enabled()
    mha.set_fastpath_enabled(False)  # its fused operator has no ONNX form
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                source.traced.flat,
                examples,
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=[spec.name for spec in network.inputs],
                output_names=[spec.name for spec in network.outputs],
                dynamic_axes={name: {0: "N"} for name in batched} if batch is None else None,
            )
    except Exception as error:
        raise NetworkUntraceable(f"torch.onnx cannot export it: {reason(error)}") from error
    finally:
        mha.set_fastpath_enabled(fast)

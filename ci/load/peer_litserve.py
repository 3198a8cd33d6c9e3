"""LitServe with ONNX Runtime, batching as its documentation shows.

ONNX=build/load/resnet50.onnx python ci/load/peer_litserve.py 8002
"""

import os
import sys
from typing import Any

import litserve
import numpy as np
from fastapi import Request
from peer_model import OnnxModel


class Api(litserve.LitAPI):
    """Decode, run, answer."""

    def setup(self, device: Any) -> None:
        """Load the network in the worker."""
        self.model = OnnxModel(os.environ["ONNX"])

    def decode_request(self, request: Request) -> Any:
        """Read the picture: LitServe reads raw bodies as JSON, so it comes in a form."""
        return self.model.tensor(request["image"].file.read())  # type: ignore[index]

    def batch(self, inputs: list[Any]) -> Any:
        """Put tensors together."""
        return np.stack(inputs)

    def predict(self, batch: Any) -> Any:
        """Run the network."""
        return self.model.run(batch)

    def unbatch(self, output: Any) -> Any:
        """Take answers apart."""
        return output

    def encode_response(self, output: Any) -> Any:
        """Return JSON."""
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Api(max_batch_size=8, batch_timeout=0.001), accelerator="cpu", track_requests=False)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")

"""Run an artifact in Triton's Python backend: the artifact's own tensors, in Triton's batches.

Triton itself does not run in CI: it comes only in a container of its own. There this file runs against a stand-in of
`triton_python_backend_utils`, and tritonclient's own protocol reads what it declares (tests/examples/test_triton.py).

    cp -r artifacts/resnet50 examples/triton/model/1/artifact
    pip install ovenbird-runtime        # in Triton's container
    tritonserver --model-repository examples/triton
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

import ovenbird_runtime

TYPES = {"float32": "TYPE_FP32", "float16": "TYPE_FP16", "int64": "TYPE_INT64", "uint8": "TYPE_UINT8"}


class TritonPythonModel:
    """One instance: Triton asks each with one batch at a time."""

    @staticmethod
    def auto_complete_config(config: Any) -> Any:
        """Declare inputs, outputs and batches as the artifact has them."""
        name = config.as_dict()["name"]
        manifest = json.loads((Path(__file__).parent / "artifact/manifest.json").read_text(encoding="utf-8"))
        (program,) = manifest["programs"].values()
        for kind, add in (("inputs", config.add_input), ("outputs", config.add_output)):
            for tensor in program[kind]:
                if tensor["shape"][0] != "N":
                    raise ValueError(f"{name}: {tensor['name']} has no batch")
                sides = [side if isinstance(side, int) else -1 for side in tensor["shape"][1:]]
                add({"name": tensor["name"], "data_type": TYPES[tensor["dtype"]], "dims": sides})
        config.set_max_batch_size(32)
        return config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the artifact that lies next to this file."""
        self.model = ovenbird_runtime.load(Path(__file__).parent / "artifact")

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run all requests in one call; return one response for each, in order."""
        names = [tensor.name for tensor in self.model.inputs]
        parts = [{name: pb_utils.get_input_tensor_by_name(one, name).as_numpy() for name in names} for one in requests]
        ends = np.cumsum([len(part[names[0]]) for part in parts])[:-1]
        try:
            outputs = self.model.run({name: np.concatenate([part[name] for part in parts]) for name in names})
        except ovenbird_runtime.OvenbirdError as error:
            if len(requests) > 1:  # each by itself, so that only the wrong one fails
                return [response for one in requests for response in self.execute([one])]
            return [pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))]
        rows = {name: np.split(value, ends) for name, value in outputs.items()}
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor(name, value[place]) for name, value in rows.items()])
            for place in range(len(requests))
        ]

"""Serve an artifact by LitServe, which gathers requests into batches.

pip install ovenbird-runtime litserve
ARTIFACT=artifacts/resnet50 python examples/litserve_server.py
curl -F image=@photo.jpg http://127.0.0.1:8000/predict
"""

import os
from typing import Any

import litserve
from fastapi import Request
from fastapi.responses import JSONResponse

import ovenbird_runtime
from ovenbird_runtime.errors import ImageError


class Classifier(litserve.LitAPI):
    """One worker: files in, answers out."""

    def setup(self, device: str) -> None:
        """Load the artifact in the worker's process."""
        self.model = ovenbird_runtime.load(os.environ.get("ARTIFACT", "artifacts/resnet50"))

    def decode_request(self, request: Request) -> bytes:
        """Return the bytes of the field `image`."""
        return request["image"].file.read()

    def predict(self, files: list[bytes]) -> list[Any]:
        """Answer a batch in one call; where a file is no image, each by itself, so that it alone fails."""
        try:
            return self.model.predict(files)
        except ImageError:
            return [self._one(file) for file in files]

    def _one(self, file: bytes) -> Any:
        try:
            return self.model.predict(file)[0]
        except ImageError as error:
            return error

    def encode_response(self, seen: Any) -> Any:
        """Return JSON, or status 400; what is raised here would fail the whole batch."""
        return JSONResponse({"error": str(seen)}, 400) if isinstance(seen, ImageError) else seen.to_json()


if __name__ == "__main__":
    server = litserve.LitServer(Classifier(max_batch_size=8, batch_timeout=0.002), accelerator="cpu")
    server.run(host="127.0.0.1", port=int(os.environ.get("PORT", 8000)), generate_client_file=False)

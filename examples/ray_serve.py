"""Serve an artifact by Ray: replicas on one machine or on many, more of them while requests wait.

    pip install ovenbird-runtime 'ray[serve]'
    ARTIFACT=artifacts/resnet50 python examples/ray_serve.py
    curl --data-binary @photo.jpg http://127.0.0.1:8000/

A replica is a process with one processor; weights are mapped, so that those of a machine share them. On a cluster,
`serve run ray_serve:app` in this folder, with the artifact at the same place on each machine.
"""

import asyncio
import os
import time
from pathlib import Path

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

import ovenbird_runtime
from ovenbird_runtime.errors import ImageError

REPLICAS = {"min_replicas": 2, "max_replicas": 8, "target_ongoing_requests": 2, "upscale_delay_s": 5}
"""Ray adds replicas where each has more than two requests at once for five seconds."""


@serve.deployment(autoscaling_config=REPLICAS, max_ongoing_requests=8, ray_actor_options={"num_cpus": 1})
class Classifier:
    """One replica: an artifact with one thread."""

    def __init__(self, artifact: str) -> None:
        """Load the artifact."""
        self.model = ovenbird_runtime.load(artifact, threads=1)

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer an image file with what is seen on it; a thread waits for the model, not the loop."""
        try:
            (seen,) = await asyncio.to_thread(self.model.predict, await request.body())
        except ImageError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(seen.to_json() | {"replica": os.getpid()})


app = Classifier.bind(str(Path(os.environ.get("ARTIFACT", "artifacts/resnet50")).resolve()))

if __name__ == "__main__":
    ray.init(num_cpus=int(os.environ.get("CPUS", 0)) or None, include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ.get("PORT", 8000))})
    serve.run(app)
    print("ready", flush=True)
    while True:
        time.sleep(3600)

"""The plain server that most people write: FastAPI, uvicorn, ONNX Runtime, one request at a time in a thread.

ONNX=build/load/resnet50.onnx python ci/load/peer_fastapi.py 8001
"""

import os
import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from peer_model import OnnxModel

app = FastAPI()
model = OnnxModel(os.environ["ONNX"])


@app.get("/v2/health/ready")
def ready() -> dict[str, bool]:
    """Say that the server answers."""
    return {"ready": True}


@app.post("/predict")
async def predict(request: Request) -> dict[str, Any]:
    """Answer one picture."""
    body = await request.body()
    return await run_in_threadpool(lambda: model.run(model.tensor(body)[None])[0])


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")

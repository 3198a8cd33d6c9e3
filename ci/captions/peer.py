"""The plain server that most people write: transformers' own GIT behind FastAPI, one request at a time in a thread.

python ci/captions/peer.py random:7 8001            # or a folder that save_pretrained wrote
"""

import io
import os
import sys
import threading
from typing import Any

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from original import original_git
from PIL import Image

from ovenbird.models.packages.captions.git import MEAN, STD

app = FastAPI()
torch.set_num_threads(len(os.sched_getaffinity(0)))
net, _ = original_git(sys.argv[1])
lock = threading.Lock()


def tensor_of(data: bytes) -> torch.Tensor:
    """Decode and pre-process one picture as GIT's processor does."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    side = int(net.config.vision_config.image_size)
    scale = side / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    image = image.resize(size, Image.Resampling.BICUBIC)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    pixels = np.asarray(image.crop((left, top, left + side, top + side)), np.float32) / 255
    return torch.from_numpy(((pixels - np.float32(MEAN)) / np.float32(STD)).transpose(2, 0, 1).copy())[None]


def write(data: bytes, max_tokens: int) -> list[int]:
    """Return a caption's tokens; with two at a time on the same processors both would take twice as long."""
    with lock, torch.inference_mode():
        found = net.generate(pixel_values=tensor_of(data), max_new_tokens=max_tokens, do_sample=False)
    tokens: list[int] = found[0].tolist()
    return tokens


@app.get("/v2/health/ready")
def ready() -> dict[str, bool]:
    """Say that the server answers."""
    return {"ready": True}


@app.post("/predict")
async def predict(request: Request, max_tokens: int) -> dict[str, Any]:
    """Answer one picture."""
    body = await request.body()
    return {"tokens": await run_in_threadpool(write, body, max_tokens)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")

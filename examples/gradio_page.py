"""Show an artifact on a page by Gradio: drop a photograph, see the classes as bars.

pip install ovenbird-runtime gradio
ARTIFACT=artifacts/resnet50 python examples/gradio_page.py        # http://127.0.0.1:7860
"""

import os

import gradio

import ovenbird_runtime
from ovenbird_runtime.errors import ImageError

model = ovenbird_runtime.load(os.environ.get("ARTIFACT", "artifacts/resnet50"))


def classify(image: str | None) -> dict[str, float]:
    """Return the confidence of each of the five most probable classes."""
    if image is None:
        raise gradio.Error("choose an image first")
    try:
        (seen,) = model.predict(image, top=5)
    except ImageError as error:
        raise gradio.Error(str(error)) from error
    return {one.label or str(one.index): float(one.confidence) for one in seen.top}


page = gradio.Interface(
    classify,
    gradio.Image(type="filepath", label="photograph"),
    gradio.Label(num_top_classes=5, label="classes"),
    title=f"{model.name}, compiled by Ovenbird",
    description="The weights are random: the answers mean nothing." if model.manifest.model.weights.random else "",
    flagging_mode="never",
    api_name="classify",
)

if __name__ == "__main__":
    page.queue(max_size=32).launch(server_name="127.0.0.1", server_port=int(os.environ.get("PORT", 7860)))

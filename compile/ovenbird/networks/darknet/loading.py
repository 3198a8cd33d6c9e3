"""A `.cfg` and its `.weights` as a Network: boxes or classes, with darknet's way of showing it a photograph.

    found = load_darknet(Path("yolov3-tiny.cfg"), parse_weights("yolov3-tiny.weights"), size=None)
    found.net, found.example, found.classes         # the torch module, one image, 80

Without `--weights`, `yolov3-tiny.weights` next to the `.cfg` is taken, and `yolov3-tiny.names` for the labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ovenbird.errors import WeightsUnavailable
from ovenbird.networks.darknet.building import build_network, image_of
from ovenbird.networks.darknet.cfg import read_cfg
from ovenbird.networks.darknet.network import DarknetNetwork
from ovenbird.networks.darknet.weights import WeightsFile
from ovenbird.networks.detection.answering import with_boxes
from ovenbird.networks.network import Network
from ovenbird.networks.processing.labels import read_labels
from ovenbird.networks.random_weights import randomise
from ovenbird_runtime.manifest.manifest import WeightsInfo
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Pipeline, Resize, letterbox

if TYPE_CHECKING:
    from ovenbird.networks.weights import WeightsChoice


@dataclass(frozen=True)
class DarknetFile:
    """What was read: the network with its weights, an image that it takes, and its labels where a file has them."""

    net: DarknetNetwork
    example: torch.Tensor
    weights: WeightsInfo
    labels: tuple[str, ...]

    @property
    def classes(self) -> int | None:
        """How many classes boxes have; None where the network gives none."""
        return self.net.heads[0][0].classes if self.net.heads else None

    @property
    def pipelines(self) -> dict[str, Pipeline]:
        """Return how darknet and OpenCV show it photographs, the usual way first."""
        channels, height, width = (int(side) for side in self.example.shape[1:])
        if channels != 3:
            return {}
        pixels = Normalise()
        if not self.net.heads:
            shorter = Resize(shorter=max(height, width), interpolation="opencv-linear")
            return {"darknet": (shorter, CentreCrop(size=(height, width)), pixels)}
        return {
            "stretch": (Resize(exact=(height, width), interpolation="opencv-linear"), pixels),
            "letterbox": (*letterbox((height, width)), pixels),
        }

    def described(self, network: Network) -> Network:
        """Return the network made of it with its weights' origin, pre-processing, and boxes where it gives any."""
        pipelines = self.pipelines
        default = next(iter(pipelines), None)
        network = replace(network, weights=self.weights, pipelines=pipelines, default_pipeline=default)
        return network if self.classes is None else with_boxes(network, self.classes, self.labels)


def load_darknet(cfg: Path, choice: WeightsChoice | None, size: tuple[int, int] | None) -> DarknetFile:
    """Read a network. Raises NetworkUnreadable, WeightsUnavailable, WeightsUnreadable, WeightsMismatch."""
    sections = read_cfg(cfg)
    image = image_of(sections)
    height, width = size or (image.height, image.width)
    example = torch.rand((1, image.channels, height, width), generator=torch.Generator().manual_seed(0))
    labels = cfg.with_suffix(".names")
    names = read_labels(labels) if labels.is_file() else ()
    if choice is not None and choice.seed is not None:
        net = build_network(sections, None)
        randomise(net, choice.seed, (example,))
        weights = WeightsInfo(
            origin="random", detail=f"seed {choice.seed}: not trained", random=True, seed=choice.seed
        )  # fmt: skip
        return DarknetFile(net, example, weights, names)
    file = choice.file if choice is not None and choice.file is not None else cfg.with_suffix(".weights")
    if choice is None and not file.is_file():
        raise WeightsUnavailable(f"{cfg} is a network without weights: give --weights FILE.weights, or random:SEED")
    net = build_network(sections, WeightsFile.read(file))
    return DarknetFile(net, example, WeightsInfo(origin="file", detail=file.name), names)

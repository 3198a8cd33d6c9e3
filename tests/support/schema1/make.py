"""Make the artifacts of schema 1 that lie beside this file, with the compiler of commit 7cb7e11.

    .venv/bin/python tests/support/schema1/make.py FOLDER

Later compilers write later schemas: run it in a checkout of that commit, and never to make a test pass. `classifier`: a
recipe of its own, two outputs, two pipelines, labels, parity. `tensors`: two inputs, one raw output, batch sizes 1 and
2. `signed`: a network without a batch; the key that signed it was thrown away, `signed.key.pub` is its public half.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch
from torch import nn

from ovenbird.compiling import compile_network
from ovenbird.models.recipe import ModelRecipe
from ovenbird.options import CompileOptions
from ovenbird.trust.signing import make_key, read_private_key, sign_artifact
from ovenbird_runtime.manifest.steps import imagenet, zoom_crop_pad

SIDE, LABELS = 32, ("cat", "cup", "rocket", "horse", "page")


class Classifier(nn.Module):
    """Two convolutions and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1))
        self.fc = nn.Linear(16, len(LABELS))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.fc(self.body(image).relu().mean((2, 3)))
        return found


class Scaled(nn.Module):
    """Two inputs: rows of numbers, and what each is multiplied by."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 4)

    def forward(self, rows: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"scaled": self.layer(rows) * scale}


class Centred(nn.Module):
    """Mixes the rows of its batch, whose size is therefore its own."""

    def forward(self, rows: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"centred": rows - rows.mean(0)}


def scaled() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Give the network of two inputs."""
    torch.manual_seed(0)
    return Scaled().eval(), (torch.randn(1, 6), torch.randn(1, 4))


def centred() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Give the network without a batch."""
    return Centred().eval(), (torch.arange(12.0).reshape(3, 4),)


def main(folder: Path) -> None:
    """Write all three into `folder`."""
    import ovenbird.networks.loading as loading  # where that commit has it: today's compiler reads the networks alone

    sys.path.insert(0, str(Path(__file__).parent))
    recipe = ModelRecipe(
        "classifier", "a fixture", "Apache-2.0",
        network=Classifier, head="fc", weights=None,  # type: ignore[arg-type]
        labels=lambda: LABELS, image_size=SIDE,
        pipelines={"imagenet": imagenet(SIDE, 40), "zoom-crop-pad": zoom_crop_pad(SIDE, crop=20)},
    )  # fmt: skip
    for network, batches in (
        (loading._load_builtin(recipe, loading.NetworkOptions(weights="random:7")), (1, 8)),
        (loading.load_network("make:scaled", loading.NetworkOptions(name="tensors")), (1, 2)),
        (loading.load_network("make:centred", loading.NetworkOptions(name="signed")), (1,)),
    ):
        options = CompileOptions(targets=("x86-64-v2",), batch_sizes=batches, tuning_records="none")
        compile_network(network, folder / network.model_name, options)
    with tempfile.TemporaryDirectory() as secret:
        key = Path(secret) / "signed.key"
        make_key(key)
        sign_artifact(folder / "signed", read_private_key(key))
        (folder / "signed.key.pub").write_bytes(key.with_name("signed.key.pub").read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

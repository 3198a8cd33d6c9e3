"""Small networks that the end-to-end tests compile as a user would: `networks:detector` and so on.

Run as a program, it writes the same network as files: `python networks.py FOLDER`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

Examples = tuple[nn.Module, Any]


class Detector(nn.Module):
    """Two inputs, two outputs, a batch norm with statistics of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.head = nn.Linear(16, 5)
        nn.init.uniform_(self.norm.running_mean, -1, 1)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)

    def forward(self, image: torch.Tensor, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.norm(self.conv(image)).relu().mean((2, 3))
        return {"classes": self.head(features) * scale, "features": features}


class Tokens(nn.Module):
    """Whole numbers in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(50, 8)

    def forward(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.table(ids).mean(1), ids + 1


class Kinds(nn.Module):
    """An input and an output of every dtype."""

    def forward(self, **given: torch.Tensor) -> dict[str, torch.Tensor]:
        return {f"{name}_out": ~x if x.dtype is torch.bool else x + x for name, x in given.items()}


class Fixed(nn.Module):
    """Mixes the rows of its batch, whose size is therefore its own."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0)


class Unmoved(nn.Module):
    """One of its outputs is the same for all inputs."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"moving": x * 2, "still": x * 0 + 3}


class Images(nn.Module):
    """A classifier of photographs, small enough for a test."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 7, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.body(image)
        return found


class Spectrum(nn.Module):
    """Holds an operator that TVM cannot import."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.linalg.svd(x)[1]
        return found


class Unsteady(nn.Module):
    """Answers otherwise each time: no artifact of it can be right."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand(()).item() if not torch.compiler.is_compiling() else x


class Segmenter(nn.Module):
    """Gives a mask as large as its image, scores that are not, and one number for each place of a coarser grid."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 32, 3, stride=2, padding=1), nn.Conv2d(32, 32, 3, padding=1)
        self.classes, self.head = nn.Conv2d(32, 5, 1), nn.Linear(32, 7)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.body(self.stem(image).relu()).relu()
        places = self.classes(found)
        mask = nn.functional.interpolate(places, size=image.shape[2:], mode="bilinear")
        return {"mask": mask, "logits": self.head(found.mean((2, 3))), "places": places.flatten(2)}


class OneRow(nn.Module):
    """Writes its batch into its shapes."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.reshape(1, 2, 3) * 2).softmax(2).reshape(1, 6)


def segmenter() -> Examples:
    torch.manual_seed(0)
    return Segmenter(), (torch.randn(1, 3, 48, 48),)


def detector() -> Examples:
    torch.manual_seed(0)
    return Detector(), (torch.randn(1, 3, 32, 32), torch.rand(1, 5))


def tokens() -> Examples:
    torch.manual_seed(0)
    return Tokens(), (torch.tensor([[1, 7, 3, 49]]),)


def kinds() -> Examples:
    names = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
    dtypes = {name: getattr(torch, name) for name in names}
    return Kinds(), {name: (torch.arange(6).view(2, 3) % (2 if name == "bool" else 6)).to(dtype)
                     for name, dtype in dtypes.items()}  # fmt: skip


def fixed() -> Examples:
    return Fixed(), (torch.randn(4, 6),)


def unmoved() -> Examples:
    return Unmoved(), (torch.randn(1, 6),)


def images() -> Examples:
    torch.manual_seed(0)
    return Images(), (torch.randn(1, 3, 64, 64),)


def spectrum() -> Examples:
    return Spectrum(), (torch.randn(4, 6),)


def unsteady() -> Examples:
    return Unsteady(), (torch.randn(1, 6),)


def broken() -> Examples:
    raise RuntimeError("the weights server is down")


def nothing() -> None:
    return None


def write_files(folder: Path) -> None:
    """Write the detector with an open and with a fixed batch, as .pt2 and as .onnx."""
    net, (image, scale) = detector()
    two = (torch.cat([image, image]), torch.cat([scale, scale]))
    batch = torch.export.Dim("batch", min=1, max=64)
    free = torch.export.export(net.eval(), two, dynamic_shapes=({0: batch}, {0: batch}))
    torch.export.save(free, folder / "free.pt2")
    torch.export.save(torch.export.export(net, two), folder / "fixed.pt2")
    names = ["image", "scale", "classes", "features"]
    for name, axes in (("free", {name: {0: "batch"} for name in names}), ("fixed", None)):
        torch.onnx.export(
            net, two, str(folder / f"{name}.onnx"), input_names=names[:2], output_names=names[2:],
            dynamic_axes=axes, dynamo=False,
        )  # fmt: skip


def coarse(net: nn.Module) -> nn.Module:
    """Return the part of a segmenter that gives its classes on the coarse grid."""
    return nn.Sequential(net.stem, nn.ReLU(), net.body, nn.ReLU(), net.classes)


def write_segmenters(folder: Path) -> None:
    """Write the segmenter as .pt2 and .onnx files whose height and width are open, and one whose are not."""
    net, (image,) = segmenter()
    net.eval()
    sides = {2: torch.export.Dim("height", min=8, max=512), 3: torch.export.Dim("width", min=8, max=512)}
    torch.export.save(torch.export.export(net, (image,), dynamic_shapes=(sides,)), folder / "open.pt2")
    torch.export.save(torch.export.export(net, (image,)), folder / "closed.pt2")
    axes = {"image": {0: "batch", 2: "height", 3: "width"}}
    torch.onnx.export(
        coarse(net), (image,), str(folder / "open.onnx"), input_names=["image"], output_names=["places"],
        dynamic_axes=axes, dynamo=False,
    )  # fmt: skip
    torch.export.save(torch.export.export(OneRow(), (torch.randn(1, 6),)), folder / "row.pt2")
    torch.onnx.export(
        OneRow(), (torch.randn(1, 6),), str(folder / "row.onnx"), input_names=["x"], output_names=["y"], dynamo=False
    )


if __name__ == "__main__":
    write_files(Path(sys.argv[1]))
    write_segmenters(Path(sys.argv[1]))

"""Small networks of what vision networks are made of, to be exported to ONNX in every way that exporters know.

    for network in NETWORKS: network.name, network.net, network.inputs

An image has 3 channels and 16 rows and columns; two rows in the batch, so that no exporter takes it for fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import parts
import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGE = (2, 3, 16, 16)
MAP = (2, 8, 8, 8)
TOKENS = (2, 9, 16)


@dataclass(frozen=True)
class Net:
    """A network, its example inputs, and whether height and width may be left open."""

    name: str
    net: nn.Module
    inputs: tuple[Tensor, ...]
    sides: bool = True


class Function(nn.Module):
    """A function, with layers of its own, as a network."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Any:
        """Call the function with the layers, then the inputs."""
        found = self.function(*self.layers, x) if y is None else self.function(*self.layers, x, y)
        return tuple(found) if isinstance(found, (tuple, list)) else found


def of(name: str, function: Callable[..., Any], *layers: nn.Module, shape: Any = IMAGE, sides: bool = True) -> Net:
    """Return a network of one input that is drawn at random."""
    torch.manual_seed(len(name))
    return Net(name, lively(Function(function, *layers)), (torch.randn(shape),), sides and len(shape) == 4)


def lively(net: nn.Module) -> nn.Module:
    """Return a network, its norms' statistics and weights drawn at random: fresh ones hide what is done with them."""
    for module in net.modules():
        if isinstance(getattr(module, "running_mean", None), Tensor):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
        if "Norm" in type(module).__name__ and isinstance(getattr(module, "weight", None), Tensor):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return net.eval()


ACTIVATIONS = (
    F.relu, F.relu6, F.hardswish, F.hardsigmoid, F.silu, F.mish, F.gelu, F.elu, F.selu, F.celu, F.softplus, F.softsign,
    F.leaky_relu, F.logsigmoid, F.tanhshrink, F.hardshrink, F.softshrink, torch.sigmoid, torch.tanh, F.hardtanh,
    lambda x: F.gelu(x, approximate="tanh"), lambda x: F.glu(x[:, :2], 1),
)  # fmt: skip


class Anchored(nn.Module):
    """A constant mask and a constant index of the network's own."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.tensor([True, False, True]))
        self.register_buffer("index", torch.tensor([[0, 2], [1, 1]]))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Choose channels, and pixels."""
        return image[:, self.mask], image[:, self.index], image[:, :, self.index, self.index]


class Turns(nn.Module):
    """Control flow that a script keeps: a loop, and branches on sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Turn the image over, some times."""
        for turn in range(3):
            x = self.conv(x) + turn if turn % 2 == 0 else x * 2
        if x.shape[1] == 3:
            x = x - 1
        found = [x]
        for part in x.split(1, 1):
            found.append(part * 2)
        return torch.cat(found, 1)


NETWORKS = (
    of(
        "classifier",
        lambda a, b, c, x: c(F.adaptive_avg_pool2d(F.max_pool2d(F.relu(b(a(x))), 3, 2, 1), 1).flatten(1)),
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8),
        nn.Linear(8, 5),
    ),
    of("residual", lambda a, n, x: F.relu(n(a(x)) + x), nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8), shape=MAP),
    of(
        "mobile",
        lambda a, n, b, x: b(F.relu6(n(a(x)))),
        nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 4, 1),
        shape=MAP,
    ),
    of(
        "convolutions",
        lambda a, b, c, x: (a(x), b(x), c(x)),
        nn.Conv2d(8, 4, (3, 5), (2, 1), (1, 2)),
        nn.Conv2d(8, 8, 3, dilation=2, padding=2),
        nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"),
        shape=MAP,
    ),
    of(
        "transposed",
        lambda a, b, c, x: (a(x), b(x), c(x)),
        nn.ConvTranspose2d(8, 4, 4, 2, 1),
        nn.ConvTranspose2d(8, 8, 3, 2, 1, output_padding=1, groups=4),
        nn.ConvTranspose2d(8, 3, 3, dilation=2),
        shape=MAP,
    ),
    of(
        "volumes",
        lambda a, b, x: (a(x), F.max_pool3d(x, 2), F.avg_pool3d(x, 2), b(x), F.interpolate(x, scale_factor=2)),
        nn.Conv3d(3, 4, 3, padding=1),
        nn.ConvTranspose3d(3, 2, 2, 2),
        shape=(2, 3, 4, 6, 6),
    ),
    of(
        "sequence",
        lambda a, b, c, x: (b(a(x)), c(x), F.max_pool1d(x, 2), F.interpolate(x, scale_factor=2.0)),
        nn.Conv1d(9, 8, 3, padding=1),
        nn.BatchNorm1d(8),
        nn.ConvTranspose1d(9, 4, 3, 2),
        shape=TOKENS,
    ),
    of("excite", parts.squeeze_excite, nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1), shape=MAP),
    of("activations", lambda prelu, x: [prelu(x)] + [f(x) for f in ACTIVATIONS], nn.PReLU(3)),
    of(
        "norms",
        lambda a, b, c, x: (a(x), b(x), c(x)),
        nn.GroupNorm(4, 8),
        nn.InstanceNorm2d(8, affine=True),
        nn.LocalResponseNorm(3),
        shape=MAP,
    ),
    of("tracked", lambda n, x: n(x), nn.InstanceNorm2d(8, affine=True, track_running_stats=True), shape=MAP),
    of(
        "layernorm",
        lambda a, b, x: (a(x), b(x), F.layer_norm(x, (9, 16)), F.rms_norm(x, (16,))),
        nn.LayerNorm(16),
        nn.LayerNorm(16, elementwise_affine=False),
        shape=TOKENS,
    ),
    of("channels_norm", lambda n, x: n(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), nn.LayerNorm(8), shape=MAP),
    of("resized", parts.resized),
    of("upsampled_like", parts.upsampled_like),
    of("padded", parts.padded),
    of("pools", parts.pools),
    of("antialiased", lambda x: F.interpolate(x, size=(7, 9), mode="bilinear", antialias=True)),
    of("shuffles", lambda x: (F.pixel_shuffle(x, 2), F.pixel_unshuffle(x, 2), parts.channel_shuffle(x)), shape=MAP),
    of("sdpa", parts.sdpa, nn.Linear(16, 48), shape=TOKENS),
    of("causal", parts.causal, nn.Linear(16, 48), shape=TOKENS),
    of("multihead", parts.multihead, nn.MultiheadAttention(16, 4, batch_first=True), shape=TOKENS),
    of("multihead_first", parts.multihead, nn.MultiheadAttention(16, 4), shape=TOKENS),
    of("encoder", lambda e, x: e(x), nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), shape=TOKENS),
    of("decoder", lambda d, x: d(x, x[:, :5]), nn.TransformerDecoderLayer(16, 2, 32, batch_first=True), shape=TOKENS),
    of("windows", parts.window_attention, nn.Linear(8, 24), shape=MAP),
    of("relative_bias", parts.relative_bias),
    of("vit_embedding", parts.vit_embedding, nn.Conv2d(3, 8, 4, 4)),
    of("focus", parts.focus, nn.Conv2d(12, 8, 3, padding=1)),
    of("yolo_head", parts.yolo_head, nn.Conv2d(8, 18, 1), shape=MAP),
    of("dfl", parts.dfl, shape=(2, 16, 4, 4)),
    of(
        "crnn",
        parts.crnn,
        nn.Conv2d(3, 8, 3, padding=1),
        nn.LSTM(32, 6, bidirectional=True),
        nn.Linear(12, 5),
        sides=False,
    ),
    of("gru", parts.with_state, nn.GRU(16, 6, batch_first=True), shape=TOKENS),
    of("gru_deep", parts.with_state, nn.GRU(16, 6, 2, batch_first=True, bidirectional=True), shape=TOKENS),
    of("lstm", parts.with_state, nn.LSTM(16, 6, batch_first=True), shape=TOKENS),
    of("rnn", parts.with_state, nn.RNN(16, 6, nonlinearity="relu", batch_first=True), shape=TOKENS),
    of("assigned", parts.assigned),
    of("masked", parts.masked),
    of("gathered", parts.gathered),
    of("embedded", parts.embedded, nn.Embedding(8, 4)),
    of("einsums", parts.einsums),
    of("spatial", parts.spatial),
    of("slices", parts.shifted_rows),
    of("arithmetic", parts.arithmetic),
    of("reductions", parts.reductions),
    of("made", parts.made),
    of("deep_tree", parts.deep_tree),
    of(
        "folds",
        lambda x: (F.unfold(x, 3, padding=1, stride=2), F.fold(F.unfold(x, 2, stride=2), (16, 16), 2, stride=2)),
        sides=False,
    ),
    of("normalized", lambda x: (x / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / 0.2),
    of(
        "positions",
        lambda x: torch.cat([x[..., :1, 0] * math.pi, torch.arange(8).sin().expand(2, 3, 8)], -1),
        sides=False,
    ),
    of("linear_any", lambda f, x: f(x.permute(0, 2, 3, 1)), nn.Linear(3, 4, bias=False)),
    of("bilinear", lambda f, x: f(x[..., :8], x[..., 8:]), nn.Bilinear(8, 8, 4)),
    Net("script", torch.jit.script(Turns().eval()), (torch.randn(IMAGE),)),
    Net("mask", Anchored().eval(), (torch.randn(IMAGE),)),
    Net("bytes", Function(lambda x: x.float() / 255 - 0.5), (torch.randint(0, 255, IMAGE, dtype=torch.uint8),)),
    Net("half", Function(lambda c, x: F.relu(c(x)), nn.Conv2d(3, 4, 3)).half(), (torch.randn(IMAGE).half(),)),
    Net("double", Function(lambda c, x: F.gelu(c(x)), nn.Conv2d(3, 4, 3)).double(), (torch.randn(IMAGE).double(),)),
    Net("ids", Function(lambda t, x: t(x), nn.Embedding(9, 4)), (torch.randint(0, 9, (2, 7)),), sides=False),
    Net(
        "two",
        Function(lambda x, y: (x + y.unsqueeze(1), x.mean((1, 2, 3)) * 2)),
        (torch.randn(IMAGE), torch.randn(2, 16, 16)),
        sides=False,
    ),
)

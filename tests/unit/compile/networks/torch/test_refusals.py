"""What no compiled network can have is refused with the user's line and the way out."""

import pytest
import torch
from torch import nn

from ovenbird.errors import NetworkUntraceable, UnsupportedOperator
from ovenbird.networks.torch.importer import import_exported
from ovenbird.networks.torch.tracing import Traced


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,))


class Spectrum(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.rfft2(x).abs()


class Polar(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.polar(x, x).real


class Found(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.nonzero()


class Inverse(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.inverse(x @ x.mT)


class Noise(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.randn_like(x)


class Slopes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.rrelu(x, training=True)


class Loop(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        start = torch.zeros((), dtype=torch.int64)
        return torch._higher_order_ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), (start, x))[1]


class Chosen(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[x > 0].sum()


class Number(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, : int(x.abs().sum())]


class Foreign(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(x.detach().numpy() * 2)


class Projected(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.LSTM(4, 6, proj_size=3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)[0]


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Branch(), r"torch\.where \(test_refusals\.py:\d+ \"return torch\.cond"),
        (Spectrum(), r"aten\.fft_rfft2 gives complex numbers.*\(test_refusals\.py:\d+ \"return torch\.fft\.rfft2\(x\)"),
        (Polar(), r"aten\.polar gives complex numbers.*\(test_refusals\.py:\d+"),
        (Found(), r"how many elements a mask takes depends on.*\(test_refusals\.py:\d+ \"return x\.nonzero"),
        (Chosen(), r"how many elements a mask takes depends on.*\(test_refusals\.py:\d+ \"return x\[x > 0\]"),
        (Inverse(), r"ends the call by values.*\(test_refusals\.py:\d+ \"return torch\.inverse"),
        (Noise(), r"random numbers differ.*\(test_refusals\.py:\d+ \"return x \+ torch\.randn"),
        (Slopes(), r"random numbers differ.*\(test_refusals\.py:\d+ \"return nn\.functional\.rrelu"),
        (Loop(), r"while_loop runs as often.*\(test_refusals\.py:\d+"),
        (Projected(), r"proj_size.*\(test_refusals\.py:\d+ \"return self\.layer\(x\)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_refused_with_the_line(network: nn.Module, told: str) -> None:
    with pytest.raises(UnsupportedOperator, match=told):
        import_exported(Traced.of(network, torch.randn(2, 4, 4)).export(None))


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Foreign(), r'test_refusals\.py:\d+, "return torch\.from_numpy'),
        (Number(), r'test_refusals\.py:\d+, "return x\[:, : int.*a number taken out of a tensor'),
    ],
    ids=["numpy", "number"],
)
def test_what_torch_cannot_trace_is_told_with_the_line(
    network: nn.Module, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    traced = Traced.of(network, torch.randn(2, 4, 4))
    with pytest.raises(NetworkUntraceable, match=told):
        traced.export(None)
    assert "def forward" not in capsys.readouterr().err  # torch prints the graph that it has until there

"""A tiny captioner in plain torch, as a user writes one: an encoder whose keys and values stay, and a decoder's step.

    ovenbird compile tests/support/tiny_captioner.py:tiny -o DIR

Weights are random by a seed. `write(network, pictures, ...)` is the loop without caches: all tokens anew at each step.
"""

from __future__ import annotations

import torch
from torch import nn

from ovenbird.networks.programs import ProgramPart, Programs
from ovenbird_runtime.manifest.generation import Beam, Greedy, KeptState, TextLoop, Use, WordPiece
from ovenbird_runtime.manifest.steps import Normalise, Resize

SIDE, PATCH, WIDTH, LENGTH = 16, 4, 32, 12
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(24)), *(f"##s{i}" for i in range(8)), ".", "'"]
BEGIN, END = 2, 3


class Captioner(nn.Module):
    """All layers: patches are seen by cross attention, tokens by self attention."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.tokens, self.places = nn.Embedding(len(PIECES), WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.own, self.other = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, 2 * WIDTH)
        self.query, self.output = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, len(PIECES))

    def seen(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values [N, patches, WIDTH] of pictures [N, 3, SIDE, SIDE]."""
        keys, values = self.other(self.patches(picture).flatten(2).transpose(1, 2)).chunk(2, -1)
        return keys, values

    def logits(self, hidden: torch.Tensor, seen: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return logits [N, T, V] of what self attention gave [N, T, WIDTH]."""
        return self.output(torch.tanh(hidden + attend(self.query(hidden), *seen)))


def attend(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | float = 0.0):  # type: ignore[no-untyped-def]
    """Return attention of queries [N, T, WIDTH]."""
    return torch.softmax(query @ keys.transpose(1, 2) * WIDTH**-0.5 + mask, -1) @ values


class Encode(nn.Module):
    """A picture's keys and values."""

    def __init__(self, net: Captioner) -> None:
        super().__init__()
        self.net = net

    def forward(self, picture: torch.Tensor) -> dict[str, torch.Tensor]:
        keys, values = self.net.seen(picture)
        return {"keys": keys, "values": values}


class Step(nn.Module):
    """The next token of each sequence."""

    def __init__(self, net: Captioner) -> None:
        super().__init__()
        self.net = net

    def forward(
        self,
        token: torch.Tensor,
        position: torch.Tensor,
        picture_keys: torch.Tensor,
        picture_values: torch.Tensor,
        text_keys: torch.Tensor,
        text_values: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        hidden = (self.net.tokens(token) + self.net.places(position))[:, None]
        query, key, value = self.net.own(hidden).chunk(3, -1)
        before = torch.arange(LENGTH - 1)[None] < position[:, None]
        mask = torch.where(torch.cat([before, torch.ones_like(before[:, :1])], 1), 0.0, float("-inf"))[:, None]
        text = attend(query, torch.cat([text_keys, key], 1), torch.cat([text_values, value], 1), mask)
        logits = self.net.logits(hidden + text, (picture_keys, picture_values))
        return {"logits": logits[:, 0], "key": key, "value": value}


def network(seed: int = 0) -> Captioner:
    """Return the network with random weights, sharp enough that no tie decides."""
    torch.manual_seed(seed)
    net = Captioner().eval()
    with torch.no_grad():
        net.output.weight.normal_(0.0, 1.5)
    return net


def tiny(seed: int = 0, beams: int = 1, repeats: int = 0) -> Programs:
    """Return its programs."""
    net, random = network(seed), torch.Generator().manual_seed(1)
    patches = (SIDE // PATCH) ** 2
    states = {
        f"{kind}_{what}s": KeptState(
            "float32", (rows, WIDTH), 0, (Use("step", f"{kind}_{what}s"),),
            (Use("encode", f"{what}s") if kind == "picture" else Use("step", what),),
        )
        for kind, rows in (("picture", patches), ("text", LENGTH - 1))
        for what in ("key", "value")
    }  # fmt: skip
    examples = {"token": torch.tensor([2, 9, 30, 5]), "position": torch.tensor([0, 10, 4, 1])}
    examples |= {name: torch.randn((4, *state.shape), generator=random) for name, state in states.items()}
    pipeline = (Resize(exact=(SIDE, SIDE)), Normalise(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)))
    loop = TextLoop(
        once=("encode",), step="step", token="token", position="position", logits="logits", begin=(BEGIN,),
        end=(END,), hidden=(0, BEGIN, END), max_length=LENGTH, vocabulary=WordPiece(),
        search=Beam(beams=beams) if beams > 1 else Greedy(), no_repeat_ngram_size=repeats,
    )  # fmt: skip
    return Programs(
        {
            "encode": ProgramPart(
                Encode(net), {"picture": torch.randn((2, 3, SIDE, SIDE), generator=random)}, pipeline, (1,)
            ),
            "step": ProgramPart(Step(net), examples, (), (1, 4)),
        },
        states,
        loop,
        {"vocabulary.txt": ("\n".join(PIECES) + "\n").encode()},
    )


def next_logits(net: Captioner, pictures: torch.Tensor, tokens: list[int]) -> torch.Tensor:
    """Return the logits [N, V] behind `tokens`, all of them computed anew."""
    with torch.no_grad():
        rows = torch.tensor([tokens] * len(pictures))
        hidden = net.tokens(rows) + net.places.weight[: len(tokens)]
        query, key, value = net.own(hidden).chunk(3, -1)
        mask = torch.full((len(tokens),) * 2, float("-inf")).triu(1)
        return net.logits(hidden + attend(query, key, value, mask), net.seen(pictures))[:, -1]

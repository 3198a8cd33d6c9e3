"""What is known of a network without running it, and that nothing of the asking is left in it."""

from __future__ import annotations

import logging
import threading
import warnings
from typing import Any

import pytest
import torch
from torch import nn

from ovenbird.networks.torch.forms import call_for_forms
from ovenbird.networks.torch.steady import steady_torch
from ovenbird.networks.torch.tracing import Traced
from ovenbird.networks.torchvision import import_torchvision

WAIT_S = 60.0


class Two(nn.Module):
    """Two outputs in a dict, and a note of each kind of tensor that it is called on."""

    def __init__(self, rows_apart: bool, keeps_nothing: bool) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, stride=2)
        self.rows_apart, self.keeps_nothing = rows_apart, keeps_nothing
        self.numbers: list[bool] = []

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        self.numbers.append(type(image) is torch.Tensor)
        map_ = self.layer(image)
        return {"map": map_, "found": map_.mean((2, 3)).argmax(1)}


@pytest.mark.parametrize(("rows_apart", "keeps_nothing"), [(False, False), (True, False), (False, True), (True, True)])
def test_forms_are_those_of_the_answers(rows_apart: bool, keeps_nothing: bool) -> None:
    net = Two(rows_apart, keeps_nothing).eval()
    image = torch.randn(2, 3, 9, 11)
    traced = Traced.of(net, image)
    assert all(net.numbers) != (rows_apart and keeps_nothing), "only who says both is not run"
    right = net(image)
    assert traced.output_names == tuple(right)
    forms = [(tensor.shape, tensor.dtype) for tensor in traced.output_examples]
    assert forms == [(tensor.shape, tensor.dtype) for tensor in right.values()]
    assert traced.batched == (True,)
    for given, wanted in zip(traced.run((image,)), right.values(), strict=True):
        assert torch.equal(given, wanted), "what was asked for forms runs as before"


SMALL: dict[str, tuple[int, ...]] = {
    "mobilenet_v3_small": (1, 3, 64, 64),
    "googlenet": (1, 3, 64, 64),
    "inception_v3": (1, 3, 96, 96),
    "swin_t": (1, 3, 64, 64),
    "lraspp_mobilenet_v3_large": (1, 3, 64, 64),
    "r3d_18": (1, 3, 4, 32, 32),
}
"""One of each kind of torchvision's networks that say of themselves that they keep nothing."""


@pytest.mark.parametrize("name", SMALL)
def test_forms_of_torchvisions(name: str) -> None:
    options: dict[str, Any] = {"weights": None}
    options |= {"weights_backbone": None} if name.startswith("lraspp") else {}
    options |= {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    net = import_torchvision().models.get_model(name, **options).eval()
    net.rows_apart = net.keeps_nothing = True
    kept = {key: (id(value), value.sum().item()) for key, value in net.state_dict(keep_vars=True).items()}
    image = torch.randn(SMALL[name])
    with torch.no_grad(), steady_torch():
        formed = call_for_forms(net, lambda net, given: net(*given), (image,))
        right = net(image)
    pairs = zip(formed.values(), right.values(), strict=True) if isinstance(right, dict) else [(formed, right)]
    assert all((one.shape, one.dtype) == (two.shape, two.dtype) for one, two in pairs)
    assert kept == {key: (id(value), value.sum().item()) for key, value in net.state_dict(keep_vars=True).items()}


def test_torch_is_steady_in_several_threads_at_once() -> None:
    before = (torch.get_num_threads(), logging.root.manager.disable, list(warnings.filters))
    torch.set_num_threads(2)
    inside, seen = threading.Barrier(3), []

    def enter(first_out: bool) -> None:
        with steady_torch():
            inside.wait(WAIT_S)
            if not first_out:
                left.wait(WAIT_S)
            with steady_torch():
                seen.append((torch.get_num_threads(), logging.root.manager.disable))

    left = threading.Event()
    threads = [threading.Thread(target=enter, args=(first,)) for first in (True, False)]
    for thread in threads:
        thread.start()
    try:
        inside.wait(WAIT_S)
        threads[0].join(WAIT_S)
        assert logging.root.manager.disable == logging.CRITICAL, "one is still inside"
        left.set()
        threads[1].join(WAIT_S)
        assert seen == [(1, logging.CRITICAL)] * 2
        assert torch.get_num_threads() == 2
        assert (logging.root.manager.disable, list(warnings.filters)) == before[1:]
    finally:
        left.set()
        torch.set_num_threads(before[0])

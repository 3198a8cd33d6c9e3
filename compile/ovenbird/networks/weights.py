"""The weights of a network: where they come from, and putting them in without any doubt left.

origin = apply_weights(net, parse_weights("resnet50.pth"), recipe.weights)    # a file
origin = apply_weights(net, parse_weights("random:7"), recipe.weights)        # seeded random numbers, said loudly
origin = apply_weights(net, None, recipe.weights)                             # the network's own
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ovenbird.errors import UsageError, WeightsMismatch
from ovenbird.networks.files.paths import check_path
from ovenbird.networks.files.state_dicts import fit_names, read_state_dict
from ovenbird_runtime.manifest.manifest import WeightsInfo

if TYPE_CHECKING:
    import torch
    from torch import nn

NAMED_IN_A_MESSAGE = 3
"""How many tensors of a kind an error names before it gives their count."""

EMBEDDED = WeightsInfo(origin="embedded", detail="in the network given")


class DefaultWeights(Protocol):
    """The weights a recipe has of its own."""

    @property
    def origin(self) -> Literal["package", "torchvision", "file"]:
        """The manifest's word for where they come from."""
        ...

    @property
    def detail(self) -> str:
        """Which weights exactly, for the manifest."""
        ...

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """Return the tensors. Raises WeightsUnavailable, WeightsUnreadable."""
        ...


@dataclass(frozen=True)
class WeightsChoice:
    """What `--weights` asked for: a file, or a seed."""

    file: Path | None = None
    seed: int | None = None


def parse_weights(text: str | None) -> WeightsChoice | None:
    """Read the value of `--weights`: `random:SEED`, a file, or nothing. Raises UsageError for a seed that is none."""
    if text is None or text == "default":
        return None
    if text.startswith("random:"):
        seed = text.removeprefix("random:")
        if not re.fullmatch(r"[0-9]{1,18}", seed):
            raise UsageError(f"--weights {text}: the seed must be a whole number of at most 18 digits, as in random:7")
        return WeightsChoice(seed=int(seed))
    return WeightsChoice(file=check_path("--weights", text))


def apply_weights(
    net: nn.Module,
    choice: WeightsChoice | None,
    default: DefaultWeights | None,
    called: tuple[nn.Module, Any] | None = None,
    unused: tuple[str, ...] = (),
) -> WeightsInfo:
    """Put the chosen weights into `net` and return what the manifest says about them.

    With no `default`, the network's own are those that it has. `called` is what to run to fit random batch norms, the
    network or what wraps it, and its example inputs; None for the network and an image of 224x224. `unused` are
    prefixes of tensors that files have and the network, as it is compiled, does without.

    Raises WeightsUnavailable, WeightsUnreadable, WeightsMismatch.
    """
    if choice is not None and choice.seed is not None:
        from ovenbird.networks.random_weights import randomise

        randomise(*((called[0], choice.seed, called[1]) if called else (net, choice.seed)))
        return WeightsInfo(origin="random", detail=f"seed {choice.seed}: not trained", random=True, seed=choice.seed)
    if choice is not None and choice.file is not None:
        state, done = fit_names(read_state_dict(choice.file), net.state_dict())
        load_strictly(net, without(state, unused), str(choice.file))
        return WeightsInfo(origin="file", detail=choice.file.name + done)
    if default is None:
        return EMBEDDED
    load_strictly(net, without(default.state_dict(), unused), default.detail)
    return WeightsInfo(origin=default.origin, detail=default.detail)


def without(state: Mapping[str, torch.Tensor], prefixes: tuple[str, ...]) -> Mapping[str, torch.Tensor]:
    """Return a state_dict without the tensors whose names begin with one of the prefixes."""
    return {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)} if prefixes else state


def load_strictly(net: nn.Module, state: Mapping[str, torch.Tensor], where: str) -> None:
    """Load `state` into `net`; all its tensors, of their shapes, finite, and no other. Raises WeightsMismatch."""
    import torch

    wanted = net.state_dict()
    # torch added this counter to batch norms later; inference does not read it, and older files lack it
    missing = [n for n in wanted if n not in state and not n.endswith("num_batches_tracked")]
    unknown = [n for n in state if n not in wanted]
    misshapen = [
        f"{n} is {_shape(state[n])}, expected {_shape(wanted[n])}"
        for n in wanted
        if n in state and state[n].shape != wanted[n].shape
    ]
    faults = [_listed("missing", missing), _listed("unknown", unknown), _listed("of another shape", misshapen)]
    if any(faults):
        raise WeightsMismatch(f"weights {where} belong to another network: " + "; ".join(f for f in faults if f))
    bad = [n for n, tensor in state.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if bad:
        raise WeightsMismatch(f"weights {where} hold NaN or infinity: {_listed('in', bad)}")
    net.load_state_dict(dict(state), strict=False)


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = len(names) - NAMED_IN_A_MESSAGE
    return f"{what} {', '.join(names[:NAMED_IN_A_MESSAGE])}" + (f" and {more} more" if more > 0 else "")

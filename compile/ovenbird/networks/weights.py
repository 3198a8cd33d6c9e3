"""The weights of a network: where they come from, and putting them in without any doubt left.

    origin = apply_weights(net, parse_weights("resnet50.pth"), recipe.weights)    # a file
    origin = apply_weights(net, parse_weights("random:7"), recipe.weights)        # seeded random numbers, said loudly
    origin = apply_weights(net, None, recipe.weights)                             # the network's own

Files are read with `weights_only=True`: a state_dict is data, and nothing in it is run.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.errors import UsageError, WeightsMismatch, WeightsUnavailable, WeightsUnreadable
from ovenbird.networks.pt2.archive import Archive
from ovenbird.networks.unread import why_unread
from ovenbird_runtime.manifest.manifest import WeightsInfo

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ovenbird.models.recipe import DefaultWeights

NAMED_IN_A_MESSAGE = 3
"""How many tensors of a kind an error names before it gives their count."""


@dataclass(frozen=True)
class WeightsChoice:
    """What `--weights` asked for: a file, or a seed."""

    file: Path | None = None
    seed: int | None = None


def parse_weights(text: str | None) -> WeightsChoice | None:
    """Read the value of `--weights`: `random:SEED`, a file, or nothing. Raises UsageError for a seed that is none."""
    if text is None:
        return None
    if text.startswith("random:"):
        seed = text.removeprefix("random:")
        if not re.fullmatch(r"[0-9]{1,18}", seed):
            raise UsageError(f"--weights {text}: the seed must be a whole number of at most 18 digits, as in random:7")
        return WeightsChoice(seed=int(seed))
    return WeightsChoice(file=Path(text))


def apply_weights(net: nn.Module, choice: WeightsChoice | None, default: DefaultWeights) -> WeightsInfo:
    """Put the chosen weights into `net` and return what the manifest says about them.

    Raises WeightsUnavailable, WeightsUnreadable, WeightsMismatch.
    """
    if choice is not None and choice.seed is not None:
        from ovenbird.networks.random_weights import randomise

        randomise(net, choice.seed)
        return WeightsInfo(origin="random", detail=f"seed {choice.seed}: not trained", random=True, seed=choice.seed)
    if choice is not None and choice.file is not None:
        load_strictly(net, read_state_dict(choice.file), str(choice.file))
        return WeightsInfo(origin="file", detail=choice.file.name)
    load_strictly(net, default.state_dict(), default.detail)
    return WeightsInfo(origin=default.origin, detail=default.detail)


def check_file(path: Path) -> None:
    """Raise WeightsUnavailable where there is no file at `path`."""
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no file"
        raise WeightsUnavailable(f"weights {path}: {what} there; give a .pth file with a torchvision state_dict")


def read_state_dict(path: Path) -> Mapping[str, torch.Tensor]:
    """Read a `.pth` file that holds a state_dict, or a checkpoint with one under `state_dict` or `model`."""
    import torch

    check_file(path)
    try:
        if zipfile.is_zipfile(path):
            with Archive.open(path, "it"):
                pass  # looked at: torch would inflate a member to any size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on old file formats
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise WeightsUnreadable(f"weights {path}: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001 - torch raises a dozen types for a damaged file, and the archive two
        raise WeightsUnreadable(
            f"weights {path}: not a state_dict that torch reads safely: {why_unread(error)}; "
            "torch.save(net.state_dict(), FILE) writes one"
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not found or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise WeightsUnreadable(f"weights {path}: holds {type(found).__name__}, expected a state_dict of tensors")
    # what torch.nn.DataParallel puts before every name
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


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

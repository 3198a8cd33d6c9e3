"""Files of tensors by name: `.pth` of `torch.save(net.state_dict())`, a checkpoint with one inside, `.safetensors`.

    state = read_state_dict(Path("resnet50.pth"))
    state, note = fit_names(state, net.state_dict())       # "module.conv.weight" -> "conv.weight"; the note says so

Read with `weights_only=True`: a state_dict is data, and nothing in it is run.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ovenbird.errors import WeightsUnavailable, WeightsUnreadable
from ovenbird.networks.files.archive import Archive
from ovenbird.networks.files.foreign import pointer
from ovenbird.networks.files.unread import why_unread

if TYPE_CHECKING:
    import torch

    State = Mapping[str, torch.Tensor]

CHECKPOINT_KEYS = ("state_dict", "model", "model_state_dict")
"""Where training programs put the state_dict; any other place is taken where it is the only one."""


def check_file(path: Path) -> None:
    """Raise WeightsUnavailable where there is no file at `path`, or none yet."""
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no file"
        raise WeightsUnavailable(f"weights {path}: {what} there; give a .pth or .safetensors file with a state_dict")
    if what := pointer(path):
        raise WeightsUnavailable(f"weights {path}: {what}")


def read_state_dict(path: Path) -> State:
    """Read a file of tensors, or a checkpoint with one among other things. Raises WeightsUnavailable,
    WeightsUnreadable.
    """
    check_file(path)
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    found = _chosen(path, _read_pickle(path))
    # what torch.nn.DataParallel puts before every name
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


def _read_pickle(path: Path) -> Any:
    import torch

    try:
        if zipfile.is_zipfile(path):
            with Archive.open(path, "it"):
                pass  # looked at: torch would inflate a member to any size
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on old file formats
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise WeightsUnreadable(f"weights {path}: {error.strerror}") from None
    except Exception as error:  # noqa: BLE001 - torch raises a dozen types for a damaged file, and the archive two
        raise WeightsUnreadable(
            f"weights {path}: not a state_dict that torch reads safely: {why_unread(error)}; "
            "torch.save(net.state_dict(), FILE) writes one"
        ) from None


def _read_safetensors(path: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        found: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise WeightsUnreadable(f"weights {path}: not a .safetensors file: {why_unread(error)}") from None
    if not found:
        raise WeightsUnreadable(f"weights {path}: holds no tensors")
    return found


def _chosen(path: Path, found: Any) -> State:
    """Return the state_dict in what was read: it, or the one inside. Raises WeightsUnreadable."""
    for _ in range(2):  # a checkpoint may hold a checkpoint
        if _is_state(found) or not isinstance(found, Mapping):
            break
        key = next((key for key in CHECKPOINT_KEYS if isinstance(found.get(key), Mapping)), None)
        if key is None:
            inside = [name for name, value in found.items() if _is_state(value)]
            if len(inside) > 1:
                raise WeightsUnreadable(
                    f"weights {path}: holds several state_dicts, {', '.join(map(str, inside[:8]))}; save the one "
                    f"meant: torch.save(torch.load({path.name!r})[{inside[0]!r}], FILE)"
                )
            if not inside:
                break
            (key,) = inside
        found = found[key]
    if not _is_state(found):
        raise WeightsUnreadable(f"weights {path}: holds {_content(found)}, expected a state_dict of tensors")
    state: State = found
    return state


def _is_state(found: Any) -> bool:
    import torch

    return isinstance(found, Mapping) and bool(found) and all(isinstance(v, torch.Tensor) for v in found.values())


def _content(found: Any) -> str:
    """Return what a file holds, in words."""
    if isinstance(found, Mapping) and found:
        return f"a {type(found).__name__} of {', '.join(map(str, list(found)[:5]))}"
    return f"an empty {type(found).__name__}" if isinstance(found, Mapping) else type(found).__name__


def fit_names(state: State, wanted: Iterable[str]) -> tuple[State, str]:
    """Return `state` with the prefix that all its names have taken off, or put on, where the network's names show it.

    Only where there is no doubt: every name has the prefix on one side, and none has it on the other. The second value
    says what was done, "" where nothing was.
    """
    names, done = list(wanted), ""
    for _ in range(3):  # "_orig_mod.module.model." and the like
        given, own = _common(state), _common(names)
        if not state or set(state) & set(names):
            break
        if given and not any(name.startswith(given) for name in names):
            state = {name.removeprefix(given): tensor for name, tensor in state.items()}
            done += f", {given!r} taken off its names"
        elif own and not any(name.startswith(own) for name in state):
            state = {own + name: tensor for name, tensor in state.items()}
            done += f", {own!r} put before its names"
        else:
            break
    return state, done


def _common(names: Iterable[str]) -> str:
    """Return the first part that all names have, with its dot; "" where there is none."""
    first = {name.partition(".")[0] if "." in name else "" for name in names}
    return f"{first.pop()}." if len(first) == 1 and "" not in first else ""

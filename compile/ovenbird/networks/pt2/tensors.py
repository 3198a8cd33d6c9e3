"""The tensors of a `.pt2` file: raw bytes with a JSON table of shapes, and the pickled example inputs.

    table, members = check_table(archive.read("data/weights/model_weights_config.json", most), archive, "data/weights/")
    args, kwargs = read_examples(archive)

The table may ask for pickled tensors and for objects of C++ (`use_pickle`, `custom_obj_0`, `opaque_obj_0`): refused.
The example inputs are read with `weights_only=True`, and then must be plain tensors and numbers.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import re
import warnings
from typing import Any

from ovenbird.errors import NetworkUnreadable, NetworkUnsafe
from ovenbird.limits import MAX_NETWORK_ELEMENTS
from ovenbird.networks.files.archive import Archive
from ovenbird.networks.files.unread import why_unread
from ovenbird.networks.pt2.program import check_path

Examples = tuple[tuple[Any, ...], dict[str, Any]]


def check_table(data: bytes, archive: Archive, folder: str) -> tuple[bytes, tuple[str, ...]]:
    """Return a table of tensors rebuilt, and the members it names. Raises NetworkUnsafe, NetworkUnreadable."""
    try:
        table = json.loads(data)
        entries: dict[str, Any] = table["config"]
        elements = 0
        members: dict[str, None] = {}
        for name, entry in entries.items():
            check_path(name)
            path = str(entry["path_name"])
            if entry["use_pickle"] is not False or not re.fullmatch(r"(weight|tensor)_[0-9]{1,9}", path):
                raise NetworkUnsafe(f"tensor {name[:60]!r} is pickled, or an object of C++ ({path[:60]})")
            count = math.prod(_whole(size) for size in entry["tensor_meta"]["sizes"])
            if count and not archive.size(folder + path):
                raise NetworkUnreadable(f"tensor {name[:60]!r} has no data: the program was exported without weights")
            elements += count
            members[path] = None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NetworkUnreadable(f"{folder}: its table is none that torch writes: {error!r}"[:200]) from None
    if elements > MAX_NETWORK_ELEMENTS:
        raise NetworkUnreadable(f"{folder}: its tensors have {elements} elements, limit {MAX_NETWORK_ELEMENTS}")
    return json.dumps(table).encode(), tuple(members)


def _whole(size: dict[str, Any]) -> int:
    number = size["as_int"]
    if not isinstance(number, int) or number < 0:
        raise ValueError(f"size {number!r}")
    return number


def read_examples(data: bytes) -> Examples:
    """Unpickle the example inputs, tensors and plain values only. Raises NetworkUnsafe, NetworkUnreadable."""
    import torch
    from torch.utils import _pytree as pytree

    if not data:
        raise NetworkUnreadable("holds no example inputs; save the program as torch.export.export gave it")
    with Archive.open(io.BytesIO(data), "the example inputs"):
        pass  # looked at: torch would inflate a member to any size
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises a dozen types for a damaged file
        if isinstance(error, pickle.UnpicklingError):
            raise NetworkUnsafe(f"its example inputs are more than tensors and numbers: {why_unread(error)}") from None
        raise NetworkUnreadable(f"its example inputs cannot be read: {why_unread(error)}") from None
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], (tuple, list))):
        raise NetworkUnreadable(f"its example inputs are {type(found).__name__}, expected (args, kwargs)")
    args, kwargs = found
    leaves = pytree.tree_leaves((args, kwargs))
    for leaf in leaves:
        if type(leaf) not in (torch.Tensor, torch.nn.Parameter, int, float, bool, str, type(None)):
            raise NetworkUnsafe(f"its example inputs hold {type(leaf).__name__}, expected tensors and numbers")
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    if any(tensor.layout != torch.strided or tensor.device.type != "cpu" for tensor in tensors):
        raise NetworkUnreadable("its example inputs are sparse, or have no data")
    elements = sum(tensor.numel() for tensor in tensors)
    if elements > MAX_NETWORK_ELEMENTS:
        raise NetworkUnreadable(f"its example inputs have {elements} elements, limit {MAX_NETWORK_ELEMENTS}")
    return tuple(args), dict(kwargs)

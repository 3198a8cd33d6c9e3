"""The parameters of a request, its inputs and its outputs, apart from how they travel.

    check_parameters(parameters, "the request")
    nan = nan_policy(parameters, settings)          # "refuse" or "allow"

What is not known here is passed over, as the protocol has it; what would change the answer, and cannot be done, is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...engine.inputs import NanPolicy
from ...errors import shown
from ..http.errors import BadRequest
from ..settings import Settings

# What a client, and who runs the server, can do about NaN in tensors
ALLOW_NAN = 'allow them with the request parameter "nan": "allow", or ovenbird-rt serve --nan allow'

# parameter -> what it asks for
_REFUSED = {
    "sequence_id": "sequences are",
    "sequence_start": "sequences are",
    "sequence_end": "sequences are",
    "shared_memory_region": "shared memory is",
    "shared_memory_offset": "shared memory is",
    "shared_memory_byte_size": "shared memory is",
}


def check_parameters(parameters: Mapping[str, Any], what: str) -> None:
    """Raise BadRequest for a parameter that asks for what is not served; 0, false and "" ask for nothing."""
    for name, asked in _REFUSED.items():
        if parameters.get(name):
            raise BadRequest(f"{what} has the parameter {name}: {asked} not served here")


def nan_policy(parameters: Mapping[str, Any], settings: Settings) -> NanPolicy:
    """Return what to do with inputs that hold NaN or infinity. Raises BadRequest."""
    value = parameters.get("nan", settings.nan)
    if value == "allow":
        return "allow"
    if value == "refuse":
        return "refuse"
    raise BadRequest(f'the parameter nan is {shown(value)}, expected "allow" or "refuse"')

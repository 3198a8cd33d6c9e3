"""Reading and writing `plan.json`.

plan = decode_plan(data)        # strict: `plan_checks.py` has the rules
plan_bytes(plan)                # the bytes to write: a line a buffer and a call
"""

from __future__ import annotations

import json

from ..errors import ManifestInvalid, ManifestTooNew, PlanInvalid, shown
from ..limits import PLAN_VERSION
from ..manifest.schema import Json, decode, encode, parse
from .plan import PLAN, Plan
from .plan_checks import check_entries

LINE_CHARS = 120
"""Values that fit are written on one line."""


def decode_plan(data: bytes, where: str = PLAN) -> Plan:
    """Read the bytes of a plan and check all that can be checked without its artifact.

    Raises ManifestTooNew for a later version, PlanInvalid for anything else that is wrong.
    """
    try:
        value = parse(data, where)
        _check_version(value, where)
        plan = decode(Plan, value, where)
    except ManifestInvalid as error:
        raise PlanInvalid(str(error)) from None
    check_entries(plan, where)
    return plan


def plan_bytes(plan: Plan) -> bytes:
    """Return the bytes of `plan.json`, the same for the same plan. Raises PlanInvalid where it is not valid."""
    data = (json_text(encode(plan)) + "\n").encode()
    decode_plan(data)
    return data


def json_text(value: Json, indent: str = "") -> str:
    """Write a value on one line where it fits, else its parts on lines of their own."""
    line = json.dumps(value, allow_nan=False)
    if len(indent) + len(line) <= LINE_CHARS or not value or not isinstance(value, (dict, list)):
        return line
    inner = indent + " "
    if isinstance(value, dict):
        parts, (first, last) = [f"{json.dumps(name)}: {json_text(item, inner)}" for name, item in value.items()], "{}"
    else:
        parts, (first, last) = [json_text(item, inner) for item in value], "[]"
    return f"{first}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{last}"


def _check_version(value: Json, where: str) -> None:
    version = value.get("plan_version") if isinstance(value, dict) else None
    if isinstance(version, int) and not isinstance(version, bool) and version > PLAN_VERSION:
        raise ManifestTooNew(
            f"{where} has plan version {shown(version)}, this runtime reads up to {PLAN_VERSION}: "
            "upgrade ovenbird-runtime"
        )

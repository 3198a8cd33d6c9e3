"""gRPC's health service: the server as a whole (""), the inference service, and each model by its name.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from ...errors import shown
from ..call import Call
from ..context import Context
from ..errors import UnknownModel
from ..http.errors import BadRequest
from ..lifecycle import State
from .messages import load_protocol

_LOOK_SECONDS = 0.25
_SERVER_NAMES = ("", "inference.GRPCInferenceService")


def _status(context: Context, service: str) -> str:
    """Return a service's status by its name in the protocol."""
    if service in _SERVER_NAMES:
        return "SERVING" if context.lifecycle.ready else "NOT_SERVING"
    for deployment in context.slots.deployments:
        if deployment.name == service:
            good = deployment.healthy and context.lifecycle.state is State.READY
            return "SERVING" if good else "NOT_SERVING"
    return "SERVICE_UNKNOWN"


def _response(status: str) -> Any:
    return load_protocol().message("grpc.health.v1.HealthCheckResponse")(status=status)


async def _check(context: Context, request: Any, call: Call) -> Any:
    status = _status(context, request.service)
    if status == "SERVICE_UNKNOWN":
        raise UnknownModel(f'no service {shown(request.service)} is known here: ask for "" or a model\'s name')
    return _response(status)


async def _watch(context: Context, requests: AsyncIterator[Any], call: Call) -> AsyncIterator[Any]:
    """Report a service's status, and every change of it, until the client or the server leaves."""
    request = await anext(requests, None)
    if request is None:
        raise BadRequest("the call has no message")
    reported = ""
    while True:
        status = _status(context, request.service)
        if status != reported:
            yield _response(status)
            reported = status
        if context.lifecycle.leaving:
            return
        await asyncio.sleep(_LOOK_SECONDS)


HEALTH = {"Check": _check, "Watch": _watch}

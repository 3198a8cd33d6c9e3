"""From a request of HTTP to its answer: route, deadline, errors to statuses.

app = App(context)
response = await app.handle(request)
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable

from ..errors import forget_frames
from .call import Call
from .context import Context
from .errors import NotReady, WrongMethod, public_body, status_of
from .http.encoding import compress
from .http.errors import BadRequest, ServeError
from .http.messages import Pieces, Request, Response
from .routes.route import Route
from .routes.table import allowed_methods, find_route
from .telemetry.request_ids import RequestIds


class App:
    """Answers requests; never raises but for cancellation."""

    def __init__(self, context: Context) -> None:
        """Answer with the parts in `context`."""
        self._context, self._ids = context, RequestIds()

    async def handle(self, request: Request) -> Response:
        """Return the response to a whole request."""
        call = self._begin(request, request.header("x-request-id"))
        error: BaseException | None = None
        try:
            request.split_target()
            call.path = request.path
            if request.method == "OPTIONS" and (methods := allowed_methods(request.segments)):
                response = Response(200, b"", "", [("Allow", ", ".join(methods))])
            else:
                route, call.parameters = find_route(request.method, request.segments)
                call.route = route.name
                response = await self._answer(route, request, call)
            self._context.account.check_answer(len(response.body))
        except asyncio.CancelledError as left:
            call.finish(self._context, left)
            raise
        except Exception as problem:  # noqa: BLE001 - every error has a status; what has none is ours: 500
            error = problem
            response = error_response(problem)
            if isinstance(problem, WrongMethod):
                response.headers.append(("Allow", ", ".join(allowed_methods(request.segments))))
        response.headers.append(("X-Request-Id", call.id))
        if response.pieces is not None:  # it ends with its last piece
            response.pieces = _Followed(response.pieces, call, self._context)
            return response
        if call.seconds:
            response.headers.append(("Server-Timing", call.server_timing(time.monotonic() - request.received)))
        call.finish(self._context, error, response.status)
        if error is not None:
            forget_frames(error)
        return response

    async def _answer(self, route: Route, request: Request, call: Call) -> Response:
        context = self._context
        if route.method == "POST":
            asked = _timeout_seconds(request.header("x-request-timeout-ms"), context.settings.limits.max_timeout_ms)
            call.allow(context.seconds_for(asked), request.received)
            if not context.lifecycle.accepting:
                raise NotReady(f"the server is {context.lifecycle.state.value}", retry_after=1)
        answer = route.handler(context, request, call)
        response = await answer if isinstance(answer, Awaitable) else answer
        accept = request.header("accept-encoding")
        size = len(response.body) if accept else 0
        return await context.offload.run_by_size(size, compress, response, accept)

    def refuse(self, request: Request, error: ServeError) -> Response:
        """Answer what never became a request."""
        self._begin(request).finish(self._context, error)
        return error_response(error)

    def _begin(self, request: Request, given: str = "") -> Call:
        return Call(
            request.started,
            method=request.method,
            path=request.path,
            id=self._ids.choose(given),
            bytes_in=request.wire_bytes,
        )


class _Followed:
    """Pieces of a body whose end is written down as that of their request."""

    def __init__(self, pieces: Pieces, call: Call, context: Context) -> None:
        self._pieces, self._call, self._context = pieces, call, context

    async def next(self) -> bytes | None:
        """Return what comes next."""
        return await self._pieces.next()

    def close(self, error: BaseException | None) -> None:
        """End the pieces, then the request."""
        try:
            self._pieces.close(error)
        finally:
            self._call.finish(self._context, error)


def error_response(error: BaseException) -> Response:
    """Return the answer to a request that ended with an error."""
    headers = []
    retry = getattr(error, "retry_after", None)
    if retry is not None:
        headers.append(("Retry-After", str(max(1, math.ceil(retry)))))
    return Response.json(public_body(error), status_of(error).http, headers)


def _timeout_seconds(header: str, limit_ms: int) -> float | None:
    """Read X-Request-Timeout-Ms; None where it was not sent. Raises BadRequest."""
    if not header:
        return None
    if not (header.isascii() and header.isdigit() and len(header) < 10) or int(header) < 1:
        raise BadRequest(f"X-Request-Timeout-Ms is {header[:20]!r}, expected 1 to {limit_ms}")
    return int(header) / 1000

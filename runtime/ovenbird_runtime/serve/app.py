"""From a request to its answer: route, deadline, errors to statuses, log line, metrics.

app = App(context)
response = await app.handle(request)
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from ..errors import OvenbirdError, one_line
from ..limits import SERVE_REQUEST_ID_CHARS
from .context import Call, Context, deadline_of
from .errors import NotReady, ServeError, WrongMethod, forget_frames, status_of
from .http.encoding import compress
from .http.messages import Request, Response, error_body
from .routes.table import allowed_methods, find_route
from .telemetry.metric_names import (
    CANCELLED,
    MODEL_REQUESTS,
    MODEL_SECONDS,
    REJECTED,
    REQUEST_SECONDS,
    REQUESTS,
)

if TYPE_CHECKING:
    from .routes.table import Route

_SAFE_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/+=")


class App:
    """Answers requests; never raises but for cancellation."""

    def __init__(self, context: Context) -> None:
        """Answer with the parts in `context`."""
        self._context = context
        self._instance, self._count = secrets.token_hex(4), 0

    async def handle(self, request: Request) -> Response:
        """Return the response to a whole request."""
        context = self._context
        route: Route | None = None
        call = Call(deadline=request.started + context.settings.limits.timeout_ms / 1000)
        request.id = self._identity(request.header("x-request-id"))
        error: BaseException | None = None
        try:
            request.split_target()
            if request.method == "OPTIONS" and (methods := allowed_methods(request.segments)):
                response = Response(200, b"", "", [("Allow", ", ".join(methods))])
            else:
                route, call.parameters = find_route(request.method, request.segments)
                response = await self._answer(route, request, call)
        except asyncio.CancelledError:
            context.metrics.add(CANCELLED, 1, call.stage)
            self._record(request, route, call, 499, None)
            raise
        except Exception as problem:  # noqa: BLE001 - every error has a status; what has none is ours: 500
            error = problem
            response = self._failure(problem)
            if isinstance(problem, WrongMethod):
                response.headers.append(("Allow", ", ".join(allowed_methods(request.segments))))
        total = time.monotonic() - request.received
        response.headers.append(("X-Request-Id", request.id))
        if call.seconds:
            response.headers.append(("Server-Timing", call.server_timing(total)))
        self._record(request, route, call, response.status, error)
        if error is not None:
            forget_frames(error)
        return response

    async def _answer(self, route: Route, request: Request, call: Call) -> Response:
        context = self._context
        if route.method == "POST":
            call.deadline = deadline_of(request.header("x-request-timeout-ms"), request.received, context.settings)
            if not context.lifecycle.accepting:
                raise NotReady(f"the server is {context.lifecycle.state.value}", retry_after=1)
        answer = route.handler(context, request, call)
        response = await answer if isinstance(answer, Awaitable) else answer
        accept = request.header("accept-encoding")
        size = len(response.body) if accept else 0
        return await context.preparation.run_by_size(size, compress, response, accept)

    def refuse(self, request: Request, error: ServeError) -> Response:
        """Answer what never became a request."""
        response = self._failure(error)
        request.id = self._identity("")
        self._record(request, None, Call(0.0), response.status, error)
        return response

    def _failure(self, error: BaseException) -> Response:
        status = status_of(error).http
        known = isinstance(error, OvenbirdError)
        # What we did not foresee may quote a client's data or our own paths: it goes to the log only.
        body = error_body(error) if known else {"error": "the server failed; its log says how", "type": "ServerError"}
        headers = []
        retry = getattr(error, "retry_after", None)
        if retry is not None:
            headers.append(("Retry-After", str(max(1, math.ceil(retry)))))
        return Response.json(body, status, headers)

    def _identity(self, given: str) -> str:
        if given and len(given) <= SERVE_REQUEST_ID_CHARS and _SAFE_ID.issuperset(given):
            return given
        self._count += 1
        return f"{self._instance}-{self._count:x}"

    def _record(
        self, request: Request, route: Route | None, call: Call, status: int, error: BaseException | None
    ) -> None:
        context, name = self._context, route.name if route else "none"
        seconds = time.monotonic() - request.started
        metrics = context.metrics
        metrics.add(REQUESTS, 1, name, str(status))
        metrics.observe(REQUEST_SECONDS, seconds, name)
        if error is not None:
            metrics.add(REJECTED, 1, type(error).__name__ if isinstance(error, OvenbirdError) else "ServerError")
        if call.model:
            metrics.add(MODEL_REQUESTS, 1, call.model, "success" if status == 200 else "failure")
            metrics.observe(MODEL_SECONDS, seconds, call.model)
        if call.statistics is not None:
            call.statistics.answered(call, seconds, status == 200)
        if error is not None and status >= 500 and not isinstance(error, ServeError):
            context.log.write(
                "failure", "error", request_id=request.id, type=type(error).__name__, error=one_line(str(error))
            )
        if context.settings.access_log:
            fields = {stage: round(spent * 1000, 2) for stage, spent in call.seconds.items()}
            context.log.write(
                "request",
                "info" if status < 500 else "warning",
                request_id=request.id,
                method=request.method,
                path=one_line(request.path[:200]),
                status=status,
                ms=round(seconds * 1000, 2),
                bytes_in=request.wire_bytes,
                **({"model": call.model, "images": call.images, "batch": call.batch} if call.model else {}),
                **({"stages_ms": fields} if fields else {}),
                **({"error": type(error).__name__} if error is not None else {}),
            )

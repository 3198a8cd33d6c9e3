"""Every route: method, path, what answers it, and a sentence for the OpenAPI document and the reference.

route, parameters = find_route("POST", ("v1", "models", "resnet50:predict"))
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ..context import Call, Context
from ..errors import UnknownRoute, WrongMethod
from ..http.messages import Request, Response
from ..v2 import metadata
from ..v2.http_infer import infer_http
from . import pages
from .predict import predict

Answer = Response | Awaitable[Response]
Handler = Callable[[Context, Request, Call], Answer]


@dataclass(frozen=True)
class Route:
    """One path of one method; `{model}` and `{version}` stand for one part of the path each."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    summary: str
    _segments: tuple[re.Pattern[str], ...] = field(init=False)

    def __post_init__(self) -> None:
        """Make the patterns of the path's segments."""
        segments = (re.split(r"\{\w+\}", segment) for segment in self.path[1:].split("/"))
        patterns = (re.compile("(.{1,256})".join(map(re.escape, parts)), re.DOTALL) for parts in segments)
        object.__setattr__(self, "_segments", tuple(patterns))

    def match(self, segments: Sequence[str]) -> tuple[str, ...] | None:
        """Return what stands for `{model}` and `{version}` in a path's decoded segments; None for another path."""
        if len(segments) != len(self._segments):
            return None
        found: list[str] = []
        for pattern, segment in zip(self._segments, segments, strict=True):
            match = pattern.fullmatch(segment)
            if match is None:
                return None
            found += match.groups()
        return tuple(found)


ROUTES = (
    Route("page", "GET", "/", pages.page, "A page to try the models with."),
    Route("status", "GET", "/status", pages.status, "The server's state, models and limits."),
    Route("metrics", "GET", "/metrics", pages.metrics, "Metrics in Prometheus' text format."),
    Route("openapi", "GET", "/openapi.json", pages.openapi, "This document."),
    Route("models", "GET", "/v1/models", pages.models, "The models, their pre-processing and their labels' count."),
    Route("predict", "POST", "/v1/models/{model}:predict", predict, "Labels and embeddings of one or many images."),
    Route("server", "GET", "/v2", metadata.server_metadata, "The server's name, version and extensions."),
    Route("live", "GET", "/v2/health/live", metadata.live, "200 while the process answers and no engine hangs."),
    Route("ready", "GET", "/v2/health/ready", metadata.ready, "200 while every model answers requests."),
    Route("repository", "POST", "/v2/repository/index", metadata.repository_index, "The models and their states."),
    Route("all_stats", "GET", "/v2/models/stats", metadata.model_statistics, "Every model's counts and times."),
    *(
        Route(verb, "POST", f"/v2/repository/models/{{model}}/{verb}", metadata.refuse_control, "Not offered: 501.")
        for verb in ("load", "unload")
    ),
    *(
        route
        for base in ("/v2/models/{model}", "/v2/models/{model}/versions/{version}")
        for route in (
            Route("model", "GET", base, metadata.model_metadata, "A model's inputs and outputs."),
            Route("model_ready", "GET", f"{base}/ready", metadata.model_ready, "200 while this model answers."),
            Route("config", "GET", f"{base}/config", metadata.model_config, "A model's configuration, as Triton's."),
            Route("stats", "GET", f"{base}/stats", metadata.model_statistics, "A model's counts and times."),
            Route("infer", "POST", f"{base}/infer", infer_http, "Run a model on named tensors."),
        )
    ),
)


def find_route(method: str, segments: Sequence[str]) -> tuple[Route, tuple[str, ...]]:
    """Return the route of a path's decoded segments, and what stands for its parameters; a
    slash at the end is no matter.

    Raises UnknownRoute, WrongMethod.
    """
    allowed = []
    for route, found in _matching(segments):
        if route.method == method or (method == "HEAD" and route.method == "GET"):
            return route, found
        allowed.append(route.method)
    if allowed:
        raise WrongMethod(f"{method} is not for this path: use {', '.join(allowed)}")
    path = "/" + "/".join(segments)
    raise UnknownRoute(f"there is nothing at {path[:100]}: GET / or /openapi.json lists what there is")


def allowed_methods(segments: Sequence[str]) -> list[str]:
    """Return the methods of a path, or of all paths together where there are no segments (`OPTIONS *`)."""
    routes = [route for route, _ in _matching(segments)] if segments else ROUTES
    methods = {route.method for route in routes}
    return sorted({*methods, *(("HEAD",) if "GET" in methods else ()), *(("OPTIONS",) if methods else ())})


def _matching(segments: Sequence[str]) -> Iterator[tuple[Route, tuple[str, ...]]]:
    if len(segments) > 1 and not segments[-1]:
        segments = segments[:-1]
    for route in ROUTES:
        found = route.match(segments)
        if found is not None:
            yield route, found

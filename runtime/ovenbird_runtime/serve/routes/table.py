"""Every route: method, path, what answers it, and a sentence for the OpenAPI document and the reference.

route, parameters = find_route("POST", ("v1", "models", "resnet50:predict"))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..call import Call
from ..context import Context
from ..errors import UnknownRoute, WrongMethod
from ..http.messages import Request, Response
from ..v2 import metadata
from ..v2.http_infer import infer_http
from . import pages
from .generate import generate, generate_stream
from .openapi import document
from .predict import predict
from .route import Route


def _openapi(context: Context, request: Request, call: Call) -> Response:
    """Return the OpenAPI document of this table."""
    return Response.json(document(ROUTES))


ROUTES = (
    Route("page", "GET", "/", pages.page, "A page to try the models with."),
    Route("status", "GET", "/status", pages.status, "The server's state, models and limits."),
    Route("metrics", "GET", "/metrics", pages.metrics, "Metrics in Prometheus' text format."),
    Route("openapi", "GET", "/openapi.json", _openapi, "This document."),
    Route("models", "GET", "/v1/models", pages.models, "The models, their pre-processing and their labels' count."),
    Route(
        "predict",
        "POST",
        "/v1/models/{model}:predict",
        predict,
        "Labels, boxes, embeddings or sentences of one or many images.",
    ),
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
            Route("generate", "POST", f"{base}/generate", generate, "A text of an image, whole."),
            Route("generate_stream", "POST", f"{base}/generate_stream", generate_stream, "A text as it is written."),
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

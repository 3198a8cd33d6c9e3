"""One path of one method, and what answers it.

route = Route("model", "GET", "/v2/models/{model}", model_metadata, "A model's inputs and outputs.")
route.match(("v2", "models", "resnet50"))           # ("resnet50",)
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from typing import Literal

from ...dataclass import dataclass
from ..call import Call
from ..context import Context
from ..http.messages import Request, Response

RouteHandler = Callable[[Context, Request, Call], Response | Awaitable[Response]]


@dataclass(frozen=True)
class Route:
    """One path of one method; `{model}` and `{version}` stand for one part of the path each."""

    name: str
    method: Literal["GET", "POST"]
    path: str
    handler: RouteHandler
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

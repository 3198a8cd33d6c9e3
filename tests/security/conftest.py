"""A tiny network, compiled for real once a session."""

from __future__ import annotations

from support.tiny_fixtures import model, spoilt, tiny

__all__ = ["model", "spoilt", "tiny"]

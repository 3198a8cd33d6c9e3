"""What a converter of a torch operator is.

A converter takes a graph node and the importer, whose `env` holds the Relax expression of every node before it, and
returns the node's own expression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm import relax

Converter = Callable[[Any, Any], "relax.Var"]

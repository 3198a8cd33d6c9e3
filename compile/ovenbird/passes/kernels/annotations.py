"""Names by which a schedule asks for a vector in the place of a loop over its lanes (`emit_dots`)."""

from __future__ import annotations

DOT = "ovenbird.dot"
"""The annotation of the loop over the lanes, around that over the products of a step; its value is the kind."""

VECTOR_LANES = "ovenbird.vector_lanes"
"""Of the same loop: 32-bit lanes of one vector; a loop of more makes several."""

STORED = "ovenbird.stored"
"""Of the loop over positions around that over their lanes, which gives levels: the 32-bit lanes of a vector, then the
lowest and the highest whole number and the zero of the levels, and whether every value fits in 32 bits
(`store_levels`)."""

APART = "ovenbird.apart"
"""Of the innermost loop of a reduction of few steps: they are to stay in their order (`keep_steps_apart`)."""

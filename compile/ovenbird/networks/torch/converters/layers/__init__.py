"""Converters of layers: what has weights, windows or statistics."""

"""Lowering of 8-bit levels for any backend."""

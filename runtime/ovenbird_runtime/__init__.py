"""Ovenbird runtime: runs compiled artifacts with no torch and no compiler beside it."""

__version__ = "0.1.0"

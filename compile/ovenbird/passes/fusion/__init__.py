"""Passes that say what is not fused."""

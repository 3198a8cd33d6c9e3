"""Kernels that sample images at places that are computed, and choose among boxes."""

"""Kernels that order, accumulate and write at places that are computed."""

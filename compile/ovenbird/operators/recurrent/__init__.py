"""Kernels of recurrent layers: a loop over time."""

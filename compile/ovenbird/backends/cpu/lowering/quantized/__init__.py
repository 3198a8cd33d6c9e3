"""Lowering of networks whose tensors are 8-bit levels."""

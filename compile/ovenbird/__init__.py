"""Ovenbird compiler: takes a vision model from PyTorch to the machine where it must run."""

__version__ = "0.1.0"

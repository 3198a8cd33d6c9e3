"""Captioners of other packages, taken apart into the programs that the runtime runs."""

"""Detectors: what is compiled of their decoding, and how pictures get into them."""

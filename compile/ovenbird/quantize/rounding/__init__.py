"""Weights in whole numbers: their scales, and levels whose errors cancel on what a layer reads."""

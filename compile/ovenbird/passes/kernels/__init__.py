"""Rewrites of one scheduled kernel, and the annotations by which schedules ask for them."""

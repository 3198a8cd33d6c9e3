"""Passes that keep floats what they are: no numbers, and rounding."""

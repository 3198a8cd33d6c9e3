"""Photographs as files: what was found drawn into copies of them, many of them while others are decoded."""

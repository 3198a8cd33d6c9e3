"""Photographs as files: what was found drawn into copies of them, many of them beside each other's decoding."""

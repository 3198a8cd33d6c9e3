"""The artifact against its framework: the real runtime, in its own process."""

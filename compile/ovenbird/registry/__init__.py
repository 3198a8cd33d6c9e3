"""Artifacts in registries of container images, and in folders of the same layout."""

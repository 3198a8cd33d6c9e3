"""Rewrites of the code between a network and its library, one a file, each named by its verb."""

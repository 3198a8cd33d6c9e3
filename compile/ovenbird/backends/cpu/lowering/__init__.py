"""Lowering for processors: a handler for each Relax operator, on images in blocks of channels."""

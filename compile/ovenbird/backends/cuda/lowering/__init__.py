"""Lowering for GPUs: a handler for each Relax operator, on images with the channels last."""

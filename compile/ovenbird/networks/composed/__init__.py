"""Layers written out in Relax, for the importers of torch and of ONNX."""

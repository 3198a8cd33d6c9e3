"""Operators of the domain "com.microsoft": what ONNX Runtime's optimiser and quantizer write into files."""

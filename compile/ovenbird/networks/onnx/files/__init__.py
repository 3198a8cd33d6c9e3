"""ONNX files: read whole, brought up to date, written."""

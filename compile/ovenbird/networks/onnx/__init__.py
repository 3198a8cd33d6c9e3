"""ONNX files: read, prepared, checked against ONNX itself, and imported operator by operator."""

"""What MODEL can be: a built-in name, a module's callable, a .pt2 file, an .onnx file; and its way to Relax."""

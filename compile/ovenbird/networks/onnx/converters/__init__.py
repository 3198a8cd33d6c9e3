"""Translations of ONNX's operators, a family a file; `table.py` lists them all."""

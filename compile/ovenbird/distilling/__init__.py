"""Distillation: a small network learns the answers of a large one from pictures without labels."""

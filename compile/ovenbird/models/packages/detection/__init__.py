"""torchvision's detectors as programs of fixed shapes, with its own weights and arithmetic."""

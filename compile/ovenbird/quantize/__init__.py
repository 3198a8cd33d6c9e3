"""From a network of floats to one of whole numbers of eight bits: calibration, ranges, weights."""

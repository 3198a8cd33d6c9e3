"""What calibration looks at, and the ranges that it finds."""

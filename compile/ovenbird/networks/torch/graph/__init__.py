"""A traced program before its nodes are converted: refused, computed, decomposed."""

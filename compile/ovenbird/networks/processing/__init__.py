"""What comes before and after a network that a user brings: pixels, labels, answers."""

"""What each optimisation gains: a network with all of them and without one, timed in turn in one run."""

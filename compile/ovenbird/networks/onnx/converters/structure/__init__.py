"""What moves elements and says how they lie; sequences, branches and loops."""

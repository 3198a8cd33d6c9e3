"""Files that are what they were when they were signed: digests, signatures, copies that nobody can change."""

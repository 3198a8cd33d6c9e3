"""From object files to the library of an artifact."""

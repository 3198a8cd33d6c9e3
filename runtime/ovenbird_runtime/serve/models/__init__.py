"""Models that are served: loaded, warm, batched, and swapped for a new version."""

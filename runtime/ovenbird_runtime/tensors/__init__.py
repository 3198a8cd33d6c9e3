"""Arrays: memory for them, files of them, and where they lie in a photograph."""

"""Writing artifacts."""

"""Arrays: memory for them, and files of them."""

"""Maps of elements, and reductions along axes."""

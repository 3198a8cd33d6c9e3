"""What a benchmark found: as data, in words and tables, and as a picture."""

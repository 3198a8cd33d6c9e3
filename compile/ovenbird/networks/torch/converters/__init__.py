"""Converters of torch operators: a family a file, all in the one table of `table.py`."""

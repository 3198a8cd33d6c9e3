"""Operators that both tables of handlers lower alike, and their names."""

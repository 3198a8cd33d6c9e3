"""Operators that compute nothing: elements go to other places, as fast as memory takes them."""

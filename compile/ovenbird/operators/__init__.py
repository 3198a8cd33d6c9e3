"""Tensor expressions of the operators that Ovenbird lowers itself; `ovenbird.schedules` makes them fast."""

"""Tensor expressions of the operators that Ovenbird lowers itself, unscheduled; `ovenbird.schedules` makes them fast."""

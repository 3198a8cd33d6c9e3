"""Tensor expressions of the operators that Ovenbird lowers itself; the backends' schedules make them fast."""

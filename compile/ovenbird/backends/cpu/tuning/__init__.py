"""How schedules for processors are searched and built."""

"""What of a measurement is the machine's: its limits, its clock, who else works on it."""

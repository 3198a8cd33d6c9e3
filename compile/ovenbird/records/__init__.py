"""What was measured: tuning logs, their records, and where they come from."""

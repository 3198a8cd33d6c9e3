"""Files that users bring: what they hold, and why they are not read."""

"""Numbers of eight bits."""

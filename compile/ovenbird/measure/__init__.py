"""How candidates are built and timed, and what came of it written, whatever the backend."""

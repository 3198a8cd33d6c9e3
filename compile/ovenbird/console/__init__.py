"""What the commands share: how they are found, their common options, and how an artifact is described."""

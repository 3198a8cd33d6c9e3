"""What this machine is and what it was measured to do: the fields that the target `host` is made of."""

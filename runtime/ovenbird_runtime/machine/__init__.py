"""What this machine is: its processor, its GPUs, its libraries."""

"""How schedules for NVIDIA GPUs are searched, built and measured."""

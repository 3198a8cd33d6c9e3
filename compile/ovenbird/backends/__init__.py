"""How a kind of processor is compiled for: lowering, schedules, the build; one folder a kind."""

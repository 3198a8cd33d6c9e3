"""darknet's networks: any `.cfg` with its `.weights`, as a torch network whose answers are boxes, or classes."""

"""Networks in Python that users bring: their code, and the inputs that it is shown."""

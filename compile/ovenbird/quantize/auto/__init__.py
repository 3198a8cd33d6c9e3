"""`--precision auto`: what each layer costs in answers, and which stay in floats."""

"""From the word MODEL to a `Network`: what it may be, what may be said about it, and how each is loaded."""

"""Built-in captioners: a picture in, a sentence out, by several programs."""

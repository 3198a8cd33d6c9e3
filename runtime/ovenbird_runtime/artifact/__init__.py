"""What lies in an artifact: the manifest and what its parts mean, and which variant runs here."""

"""An artifact on disk: its checks, its plan and its evidence, and which variant runs here."""

"""What `manifest.json` and `target.json` say, and the one schema that reads and writes them."""

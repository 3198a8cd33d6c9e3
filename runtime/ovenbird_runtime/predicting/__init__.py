"""From images to predictions: of a picture, of a large one in tiles, of one that a text is written about."""

"""Code for processors: images in blocks of channels, register tiles, LLVM."""

"""What kernels of our own are written with: loops, blocks, and what each says of itself."""

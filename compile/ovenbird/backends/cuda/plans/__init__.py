"""Plans of GPU kernels, and which of them fit a function and a chip."""

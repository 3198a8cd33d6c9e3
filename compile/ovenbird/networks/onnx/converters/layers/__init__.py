"""The layers of networks: convolutions, pooling, products, normalizations."""

"""Networks that installed packages bring, by a prefix: `torchvision:NAME`, `timm:NAME`, `hf:NAME`.

`table.py` has them; each package is a file.
"""

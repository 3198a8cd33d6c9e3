"""A torch network on its way to Relax: traced, decomposed by torch, imported by TVM with our converters."""

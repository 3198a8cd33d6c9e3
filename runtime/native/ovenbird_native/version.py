"""The version of the package, which is the runtime's."""

__version__ = "0.1.0"

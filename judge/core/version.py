"""The version of the package; it stands in every signature."""

__version__ = "0.1.0"

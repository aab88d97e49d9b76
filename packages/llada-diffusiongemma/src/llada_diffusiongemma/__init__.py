"""DiffusionGemma as an engine of the llada registry."""

__version__ = "0.2.0"

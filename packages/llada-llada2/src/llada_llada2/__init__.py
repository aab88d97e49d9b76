"""LLaDA2.0 and LLaDA2.1 as an engine of the llada registry."""

__version__ = "0.2.0"

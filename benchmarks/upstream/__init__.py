"""Adapters that run the published decoders from a checkout, for comparison. They hold no upstream code."""

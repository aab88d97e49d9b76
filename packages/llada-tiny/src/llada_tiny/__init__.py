"""A small trained LLaDA checkpoint."""

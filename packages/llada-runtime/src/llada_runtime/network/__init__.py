"""From packed columns to logits: the layout of a call, the cache of keys and values, the transformer."""

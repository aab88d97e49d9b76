"""The networks that can be decoded on, each under the names of its checkpoints."""

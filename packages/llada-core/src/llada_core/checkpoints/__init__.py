"""A checkpoint's files: where they are, what its config says, its tokenizer, and other formats of weights."""

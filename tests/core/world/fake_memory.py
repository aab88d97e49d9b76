"""What the engine ``fake`` says of memory: a byte for each token of the vocabulary, whatever the dtype."""

from types import SimpleNamespace


def estimate(config, *, dtype, available):
    if config["vocab_size"] is None:
        raise ValueError("config.json: vocab_size is missing; add it")
    facts = {
        "dtype": dtype,
        "weights": config["vocab_size"],
        "kv_per_token": 10,
        "kv_per_row": 10 * config["max_sequence_length"],
        "logits_per_row": 3 * 2**20,
        "max_sequence_length": config["max_sequence_length"],
        "available": available,
        "columns_that_fit": 900,
        "rows_that_fit": 4,
    }
    return SimpleNamespace(as_dict=lambda: facts)

"""Published decoders from their own checkouts, to be run beside ours. No code of theirs is held here.

``places`` says which there are and where, ``source`` imports them, ``fast_dllm`` and ``dinfer`` call them;
``worker`` runs both sides in a process of its own, and ``certificates`` is what that is asked for and told.
"""

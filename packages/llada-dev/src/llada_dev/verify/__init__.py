"""Proof that a model decodes as it should here: what can be checked on any model, and against published code.

``command`` is ``llada verify``. The checks know no engine: what an algorithm is held to, it says itself
(``reference_answer``), and what is promised where, ``promises`` says.
"""

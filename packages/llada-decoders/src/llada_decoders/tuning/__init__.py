"""``llada tune``: the fastest parameters of each decoder that keep most of one token a step's right answers.

One more consumer of ``llada_core.bench``, which asks and measures. What is tried is data (``grids``,
``baselines``); how many questions it takes is ``halving``; what the answers show is ``intervals``.
"""

"""How many compiled matrix products a CPU keeps.

oneDNN compiles a product anew for every number of rows, and packed forwards have as many as requests that
come and go make. Of itself it keeps 1,024 of them, about 0.3 MB each, and torch's layer above keeps 1,024
more in every thread, which are found no faster. Here the first are fewer and the second hardly any.
"""

from __future__ import annotations

import os

__all__ = ["bound_kept_products"]

# Each: the names that a library reads, of which the first is set, and how many it keeps. The rows of one
# forward need about 8, so 256 are those of the last 32 forwards that differed. 0 crashes torch's layer.
_BOUNDS = (
    (("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_PRIMITIVE_CACHE_CAPACITY"), 256),
    (("LRU_CACHE_CAPACITY",), 16),
)


def bound_kept_products() -> None:
    """Bound what is kept, where the environment says nothing else.

    To be called before the first product: oneDNN reads its variable then, and torch's layer does so in each
    thread anew, so both stay set.
    """
    for names, count in _BOUNDS:
        if not any(name in os.environ for name in names):
            os.environ[names[0]] = str(count)

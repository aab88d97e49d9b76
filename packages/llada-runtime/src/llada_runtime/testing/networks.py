"""``FakeNetwork``: what the loop asks of a network, without a transformer; and checks of a real one.

It keeps the tokens of cached columns where a transformer keeps their keys. So its logits are a pure function
of the canvas *as a plan lets the network see it*: with what is stale in the cache, and without what is behind
the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from llada_core.errors import UnsupportedArchitecture
from llada_core.testing import run_checks
from llada_runtime.network.cache import KVCache
from llada_runtime.network.calls import Merge
from llada_runtime.network.layout import Layout, Place, Span
from llada_runtime.network.protocol import Network
from llada_runtime.network.shape import Shape
from llada_runtime.testing.checkpoints import EOS, MASK, VOCABULARY

__all__ = ["FakeConfig", "FakeNetwork", "Proposer", "check_network"]

Proposer = Callable[[Tensor, int, int], Tensor]
"""``(canvas, lo, hi)``: float32 logits ``[hi - lo, V]`` of columns of a canvas, int64 ``[length]``."""

_TOKENS = Shape(width=1, n_layers=1, n_heads=1, n_kv_heads=1, head_dim=1, mlp_width=1, vocabulary=1, eps=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeConfig:
    """What decoding needs to know of a model."""

    vocab_size: int = VOCABULARY
    mask_token_id: int = MASK
    eos_token_id: int = EOS
    max_sequence_length: int = 256

    @property
    def embedding_size(self) -> int:
        return self.vocab_size

    @property
    def eos_ids(self) -> tuple[int, ...]:
        return (self.eos_token_id,)


class FakeNetwork:
    """A network whose logits are what ``propose`` says.

    Embeddings are one-hot; those that a plan feeds in their place change nothing, and neither do strides.

    Args:
        propose: a pure function of the canvas that is seen.
        config: special tokens and limits.
        device: where logits are.
        free: how many columns `affordable_columns` promises.
        merges: what it tells the loop; rows never see each other whatever it says.

    Attributes:
        forwards: of each forward, the columns ``(lo, hi)`` of each of its canvases.
    """

    caches = True

    def __init__(
        self,
        propose: Proposer,
        *,
        config: FakeConfig | None = None,
        device: torch.device | str = "cpu",
        free: int = 2**16,
        merges: Merge | bool = False,
    ) -> None:
        self.config = FakeConfig() if config is None else config
        self.device, self.merges = torch.device(device), merges
        self.forwards: list[tuple[tuple[int, int], ...]] = []
        self._propose, self._free = propose, free

    @classmethod
    def random(cls, seed: int = 0, *, scale: float = 3.0, config: FakeConfig | None = None) -> FakeNetwork:
        """Logits of normal numbers times ``scale``, all of them others where one token of the canvas is."""
        config = FakeConfig() if config is None else config

        def propose(canvas: Tensor, lo: int, hi: int) -> Tensor:
            source = torch.Generator().manual_seed(hash((seed, *canvas.tolist())) % 2**63)
            return torch.randn(len(canvas), config.vocab_size, generator=source)[lo:hi] * scale

        return cls(propose, config=config)

    @classmethod
    def scripted(
        cls,
        tokens: int | Sequence[int] | Mapping[int, int],
        confidence: float | Sequence[float] | Mapping[int, float] = 0.9,
        *,
        config: FakeConfig | None = None,
    ) -> FakeNetwork:
        """Column c proposes ``tokens[c]`` with probability ``confidence[c]``, or all the same ones."""
        config = FakeConfig() if config is None else config

        def propose(canvas: Tensor, lo: int, hi: int) -> Tensor:
            rows = []
            for column in range(lo, hi):
                token = tokens if isinstance(tokens, int) else tokens[column]
                sure = confidence if isinstance(confidence, int | float) else confidence[column]
                rows.append(_logits(config, token, sure))
            return torch.stack(rows)

        return cls(propose, config=config)

    def new_cache(self, *, columns: int) -> KVCache:
        return KVCache(_TOKENS, columns=columns, device=torch.device("cpu"), dtype=torch.int64)

    def affordable_columns(self) -> int:
        return self._free

    def embed(self, ids: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(ids, self.config.vocab_size).float()

    def mix(self, probabilities: Tensor) -> Tensor:
        return probabilities.float()

    def logits(self, layout: Layout, cache: KVCache | None) -> Tensor:
        form = layout.form
        ids, pool = layout.ids.cpu(), None if cache is None else cache.layer(0)[0][:, 0, 0]
        if pool is not None:
            pool[layout.places.cpu()] = ids[layout.kept.cpu()]
        widths = [form.places[row].width for row in form.order]
        parts = ids[: len(ids) - (form.repeated or 0)].split(widths)
        brought = dict(zip(form.order, parts, strict=True))
        self.forwards.append(tuple((place.lo, place.hi) for place in form.places))
        seen = [_seen(place, brought[row], pool) for row, place in enumerate(form.places)]
        heads = [each for c, place in zip(seen, form.places, strict=True) for each in self._head(place, c)]
        return torch.cat(heads).to(self.device)

    def _head(self, place: Place, canvas: Tensor) -> Iterator[Tensor]:
        """The logits of a request's head, and of its shadow: each column of that by a canvas where its own
        token is the shadow's."""
        length = place.length
        yield self._propose(canvas[:length], place.head_lo, place.head_hi)
        for offset, column in enumerate(range(*place.shadow or (0, 0))):
            hidden = canvas[:length].clone()
            hidden[column] = canvas[length + offset]
            yield self._propose(hidden, column, column + 1)


def _logits(config: FakeConfig, token: int, confidence: float) -> Tensor:
    """Logits ``[V]`` under which ``token`` has this probability, and the mask none unless it is the token."""
    others = config.vocab_size - 1 - (token != config.mask_token_id)
    rest = (1.0 - confidence) / others
    row = torch.full((config.vocab_size,), math.log(rest) if rest > 0 else -math.inf)
    row[config.mask_token_id] = -math.inf
    row[token] = math.log(confidence)
    return row


def _seen(place: Place, ids: Tensor, pool: Tensor | None) -> Tensor:
    """The canvas that a request's columns see: their own tokens, and what is cached of the others."""
    if not place.reads:
        return ids
    assert pool is not None
    assert place.start is not None
    canvas = pool[place.start : place.start + place.length].clone()
    canvas[place.lo : place.hi] = ids
    return canvas


def check_network(network: Network) -> tuple[str, ...]:
    """What was checked, where ``network`` is what the loop asks for.

    Raises:
        ConformanceError: something does not hold. All failures are in it.
    """
    return run_checks(type(network).__name__, _network_checks(network))


def _network_checks(network: Network) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "it has every member of a network", lambda: _is_complete(network)
    yield "its special tokens are in its vocabulary", lambda: _knows_its_tokens(network)
    yield "a forward gives the logits of the head columns", lambda: _gives_logits(network)
    yield "rows that are laid out apart do not see each other", lambda: _keeps_rows_apart(network)
    yield "embeddings are [..., d], and a mixture of one token is its own", lambda: _embeds(network)
    yield "a cache has the columns that were asked for", lambda: _caches(network)


def _is_complete(network: Network) -> None:
    missing = [name for name in vars(Network) if not name.startswith("_") and not hasattr(network, name)]
    assert not missing, f"it has no {', '.join(missing)}; see llada_runtime.Network"


def _knows_its_tokens(network: Network) -> None:
    config = network.config
    for token in (config.mask_token_id, *config.eos_ids):
        assert 0 <= token < config.embedding_size, (
            f"the special token {token} is none of 0 to {config.embedding_size - 1}; mend its config"
        )


def _span(network: Network, length: int) -> Span:
    """A canvas whose last columns are masks, and whose logits are wanted."""
    lo, mask = length // 2, network.config.mask_token_id
    ids = [token + (token >= mask) for token in range(lo)] + [mask] * (length - lo)
    return Span(ids=ids, lo=0, hi=length, length=length, head_lo=lo, head_hi=length)


def _run(network: Network, *spans: Span) -> Tensor:
    with torch.inference_mode():
        return network.logits(Layout.of(spans, device=network.device, merge=False), None)


def _gives_logits(network: Network) -> None:
    found = _run(network, _span(network, 6), _span(network, 5))
    wanted = (3 + 3, network.config.embedding_size)
    assert found.shape == wanted, f"logits are {list(found.shape)}; return those of the head, {list(wanted)}"
    assert found.is_floating_point(), f"logits are {found.dtype}; return floating point"
    assert not found.isnan().any(), "logits are NaN; check the weights"


def _keeps_rows_apart(network: Network) -> None:
    spans = [_span(network, length) for length in (7, 4)]
    together = _run(network, *spans)
    for span, part in zip(spans, together.split([s.head_width for s in spans]), strict=True):
        torch.testing.assert_close(part, _run(network, span), msg=_apart)


def _apart(found: str) -> str:
    return f"{found}\na row has other logits beside another than alone; let it attend to its own columns only"


def _embeds(network: Network) -> None:
    ids = torch.tensor([[1, 2], [3, 4]], device=network.device)
    try:
        with torch.inference_mode():
            embedded = network.embed(ids)
            one_hot = torch.nn.functional.one_hot(ids.flatten(), network.config.embedding_size)
            mixed = network.mix(one_hot.to(embedded.dtype))
    except UnsupportedArchitecture:
        return  # the protocol lets a network say so
    assert embedded.shape[:-1] == ids.shape, f"embed returns {list(embedded.shape)}; return [2, 2, d]"
    torch.testing.assert_close(mixed, embedded.flatten(0, 1), rtol=1e-3, atol=1e-3)


def _caches(network: Network) -> None:
    if not network.caches:
        assert network.affordable_columns() == 0, "it caches nothing; let affordable_columns return 0"
        return
    cache = network.new_cache(columns=7)
    assert cache.columns == 7, f"its cache has {cache.columns} columns where 7 were asked for"
    assert network.affordable_columns() > 0, "affordable_columns is 0, and it caches; tell what memory holds"

"""What the registry learns of ``adablock``."""

from __future__ import annotations

from dataclasses import dataclass

from llada_core import SAMPLING, AlgorithmSpec, Parameter, standard

__all__ = ["ALGORITHM", "PARAMETERS", "TokenIds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIds(Parameter):
    """Several token ids: a list of them, one, or a string with commas between, which is the accepted form."""

    kind: type[str] = str

    @property
    def expected(self) -> str:
        return "token ids, as a list or with commas between, or none"

    def check(self, value: object) -> int | float | bool | str | None:
        """``"198,13"`` of any form; ``ParameterError`` for what are no ids."""
        if value is None:
            return Parameter.check(self, value)
        given = value.split(",") if isinstance(value, str) else value
        ids = [_id(each) for each in (given if isinstance(given, list | tuple) else [given])]
        if not ids or None in ids:
            raise self._refusal(value, "are no token ids")
        return ",".join(map(str, ids))


def _id(given: object) -> int | None:
    if isinstance(given, str) and given.strip().isdecimal():
        return int(given)
    return given if type(given) is int and given >= 0 else None


PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard(
        "block_length",
        aliases=("block_size", "init_block_length"),
        summary="Positions of a block in which no delimiter is expected.",
    ),
    TokenIds(
        name="delimiter_ids",
        nullable=True,
        examples=(",".join(map(str, range(0, 30, 2))), ",".join(map(str, range(29)))),
        summary=(
            "Tokens that a block ends with where one is expected soon; none means the line end of the "
            "model's tokenizer, and 198, which is LLaDA's, where it has no tokenizer."
        ),
    ),
    Parameter(
        name="delimiter_threshold",
        kind=float,
        minimum=0,
        maximum=1,
        nullable=True,
        default=0.3,
        summary="How probable a delimiter must be at the block's first forward; none: blocks are fixed.",
    ),
    standard("threshold", nullable=False, default_unless=(), summary="Commit every position this confident."),
    Parameter(
        name="cache",
        kind=str,
        default="dual",
        choices=("none", "prefix", "dual"),
        coerce={None: "none"},
        summary="What is read from the cache: nothing, what is before the block, or all but the block.",
    ),
    *SAMPLING,
    standard("seed"),
    standard("early_stop"),
)

ALGORITHM = AlgorithmSpec(
    name="adablock",
    engine="fast-dllm",
    target="llada_decoders.adablock:AdaBlockGeneration",
    summary="Blocks that end where the network expects a line to end (arXiv 2509.26432).",
    aliases=("adablock_dllm",),
    parameters=PARAMETERS,
)

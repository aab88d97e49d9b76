"""The command ``convert``: a trainer's checkpoint written in the Hugging Face layout."""

from __future__ import annotations

import math
import re
import reprlib

import click

from llada_core.checkpoints.dcp_source import SHARD_BYTES, DcpSource
from llada_core.checkpoints.options import DTYPES
from llada_core.cli.options import dcp_options, output_options
from llada_core.cli.output import note, print_json, print_line
from llada_core.cli.progress import busy_bar, prompts_bar
from llada_core.cli.signals import ended_like_an_interrupt
from llada_core.errors import UsageError
from llada_core.loading import Conversion

__all__ = ["convert"]

_SIZE = re.compile(r"(?P<number>\d+(\.\d+)?)\s*((?P<unit>[KMGT])(?P<binary>i)?)?B?", re.IGNORECASE)
_EXAMPLE = """\b
llada convert --dcp runs/step-100 --base GSAI-ML/LLaDA-8B-Instruct --out llada-step-100 --dtype bfloat16
"""


@click.command(epilog=_EXAMPLE)
@dcp_options
@click.option("--out", required=True, metavar="PATH", help="A new folder, or an empty one.")
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    help="What the weights become. Default: what they are.",
)
@click.option("--max-shard-size", metavar="SIZE", help="Of a file, such as 500MB or 2GiB. Default: 4GiB.")
@click.option("--engine", metavar="NAME", help="Engine whose network it is. Default: the one that fits.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub id.")
@output_options
def convert(
    dcp: str | None,
    base: str | None,
    dcp_prefix: str | None,
    out: str,
    dtype: str | None,
    max_shard_size: str | None,
    engine: str | None,
    revision: str | None,
    as_json: bool,
) -> None:
    """Write a trainer's weights, with config and tokenizer of the model that was trained, in the Hugging Face
    layout, which every loader takes.

    What the network lacks or has no place for is told before anything is written.
    """
    if dcp is None or base is None:
        raise UsageError(f"--{'dcp' if dcp is None else 'base'} is missing; give both --dcp and --base")
    with busy_bar(f"Reading what is in {dcp}"):
        conversion = Conversion(
            DcpSource(path=dcp, prefix=dcp_prefix),
            base,
            out,
            engine=engine,
            dtype=dtype,
            shard_bytes=SHARD_BYTES if max_shard_size is None else _bytes(max_shard_size),
            revision=revision,
        )
    note(conversion.contents.told)
    note(conversion.told)
    if conversion.checked_by is None:
        note(f"no engine here can tell whether these are all weights that {base} needs: it is not checked")
    with ended_like_an_interrupt(), prompts_bar("Writing", len(conversion.files)) as bar:
        conversion.write(told=bar.advance)
    if as_json:
        print_json(_record(conversion))
    else:
        print_line(str(conversion.out))


def _bytes(size: str) -> int:
    """The number of bytes that ``size`` says. Raises ``UsageError``."""
    found = _SIZE.fullmatch(size.strip())
    count = 0
    if found is not None:
        power = " KMGT".index((found["unit"] or " ").upper())
        bytes_ = float(found["number"]) * (1024 if found["binary"] else 1000) ** power
        count = int(bytes_) if math.isfinite(bytes_) else 0
    if count < 1:
        raise UsageError(f"--max-shard-size {reprlib.repr(size)} is no size; give one such as 500MB or 2GiB")
    return count


def _record(conversion: Conversion) -> dict[str, object]:
    return {
        "out": str(conversion.out),
        "files": list(conversion.files),
        "bytes": conversion.size,
        "dtypes": list(conversion.dtypes),
        "tensors": dict(conversion.contents.names),
        "left_out": list(conversion.contents.left_out),
        "values_left_out": list(conversion.contents.values),
        "checked_by": conversion.checked_by,
    }

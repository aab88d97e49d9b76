"""Which of the tensors that a trainer saved are the model's, and what the model calls them.

Trainers keep the model somewhere in what they save (``app.model.``, ``policy.``, ``model_state_dict.``),
beside much else. Where it is follows from the names that the network itself gives its tensors. This module
knows names only.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

__all__ = ["AmbiguousPrefix", "changes", "names_in_model"]

# What torch.compile, FSDP, DDP and activation checkpointing put into the names of parameters.
_WRAPPERS = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# Who keeps state for each parameter, under the parameter's own name.
_OTHERS = re.compile(r"(?:^|\.)_?(?:optim|lr_sched|sched|exp_avg|momentum|grad)[^.]*\.", re.IGNORECASE)
_SHELLS = ("app.", "module.", "policy.", "actor.", "model_state_dict.", "state_dict.", "state.")


class AmbiguousPrefix(ValueError):
    """The model is there several times; ``prefixes`` says where."""

    def __init__(self, prefixes: list[str]) -> None:
        super().__init__(" and ".join(repr(prefix) for prefix in prefixes))
        self.prefixes = prefixes


def names_in_model(
    stored: Iterable[str], known: Collection[str], *, prefix: str | None = None
) -> dict[str, str]:
    """The stored names that are the model's, each with its name in the model; empty where none is.

    ``known`` are the names of the model's tensors, empty where nobody can tell them. A stored name is the
    model's where it is one of these behind the ``prefix`` (None: the one that explains most of them), or
    stands where they stand: the loader of the network then refuses what it has no place for. Raises
    ``AmbiguousPrefix``.
    """
    short = {name: _WRAPPERS.sub("", name) for name in stored}
    short = {name: clean for name, clean in short.items() if clean in known or not _OTHERS.search(clean)}
    if not short:
        return {}
    if not known:
        behind = _shell(short.values()) if prefix is None else prefix
        return {name: each[len(behind) :] for name, each in short.items() if each.startswith(behind)}
    root = _root(known)
    dropped, behind = _best(short.values(), known, root) if prefix is None else ("", prefix)
    found = {name: dropped + each[len(behind) :] for name, each in short.items() if each.startswith(behind)}
    # The root tells where they stand, unless the stored names lack it.
    places = {root} if dropped != root else {name[: name.find(".", len(root)) + 1] for name in known}
    heads = tuple(filter(None, places))
    if not any(name in known for name in found.values()):
        return {}
    return {name: each for name, each in found.items() if each in known or each.startswith(heads)}


def changes(names: Mapping[str, str]) -> tuple[str, tuple[str, ...], str]:
    """What was done to the stored ``names`` to make the model's of them, as ``names_in_model`` does.

    That is what was taken off before them, the wrappers taken off inside, and what was put before them.
    """
    wrappers = sorted({found for stored in names for found in _WRAPPERS.findall(stored)})
    stored, name = min(names.items())
    clean = _WRAPPERS.sub("", stored).split(".")
    wanted = name.split(".")
    pairs = zip(reversed(clean), reversed(wanted), strict=False)
    same = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    before, added = (parts[: len(parts) - same] for parts in (clean, wanted))
    return "".join(f"{part}." for part in before), tuple(wrappers), "".join(f"{part}." for part in added)


def _best(short: Collection[str], known: Collection[str], root: str) -> tuple[str, str]:
    """The part of ``root`` that the stored names lack, and what stands before them instead."""
    counts: Counter[tuple[str, str]] = Counter()
    for dropped in _beginnings(root):
        names = {name[len(dropped) :] for name in known if name.startswith(dropped)}
        counts.update((dropped, head) for each in short for head, rest in _splits(each) if rest in names)
    if not counts:
        return "", ""
    # Of what explains as many, the names that lack least.
    dropped = max(counts, key=lambda found: (counts[found], -len(found[0])))[0]
    most = max(count for (lacking, _), count in counts.items() if lacking == dropped)
    best = sorted(head for (lacking, head), n in counts.items() if lacking == dropped and n == most)
    if len(best) > 1:
        raise AmbiguousPrefix(best)
    return dropped, best[0]


def _root(known: Collection[str]) -> str:
    """What all the names begin with, up to a dot."""
    first, last = min(known).split("."), max(known).split(".")
    shared = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first[:-1], last[:-1], strict=False))
    return "".join(f"{part}." for part, _ in shared) if len(known) > 1 else ""


def _beginnings(root: str) -> Iterator[str]:
    yield ""
    yield from (root[: dot.end()] for dot in re.finditer(r"\.", root))


def _splits(name: str) -> Iterator[tuple[str, str]]:
    yield "", name
    yield from ((name[: dot.end()], name[dot.end() :]) for dot in re.finditer(r"\.", name))


def _shell(short: Collection[str]) -> str:
    """Where the model is by its names alone: in what all share, or in "model" where that is doubled."""
    behind = ""
    while shell := next((s for s in _SHELLS if all(n.startswith(behind + s) for n in short)), ""):
        behind += shell
    doubled = behind + "model."
    return doubled if any(name.startswith(doubled + "model.") for name in short) else behind

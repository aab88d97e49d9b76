"""Scores a network on the held-out sets right after training, in big batches."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from types import ModuleType

from decoding import Setting, Tokens, decode
from network import Network
from tokenizer import END_OF_TURN, EOS, MASK, render
from tokenizers import Tokenizer

from llada_tiny.tasks import Instance, Phrasings

ONE, T90, T50 = (
    Setting(name="one token a step", threshold=None),
    Setting(name="threshold 0.9", threshold=0.9),
    Setting(name="threshold 0.5", threshold=0.5),
)
T90_DUAL = Setting(name="threshold 0.9, dual cache", threshold=0.9, dual_cache=True)
ONE_DUAL = Setting(name="one token a step, dual cache", threshold=None, dual_cache=True)
ROWS_AT_ONCE = 1000
FAILURES_KEPT = 12


@dataclass(slots=True)
class Score:
    """Right answers, answer tokens and forwards of one family in one setting."""

    right: int = 0
    asked: int = 0
    answer_tokens: int = 0
    forwards: int = 0
    kinds: dict[str, list[int]] = field(default_factory=dict)  # right, asked
    failures: list[dict[str, object]] = field(default_factory=list)

    @property
    def exact(self) -> float:
        return 100 * self.right / max(1, self.asked)

    @property
    def tokens_per_forward(self) -> float:
        return self.answer_tokens / max(1, self.forwards)


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What is asked: `n` held-out instances of each family of a module of tasks, and the room for answers."""

    tasks: ModuleType
    n: int
    gen_length: int


def score(
    network: Network, tokenizer: Tokenizer, setting: Setting, asked: Examination, phrasings: Phrasings
) -> dict[str, Score]:
    """A score per family."""
    scores: dict[str, Score] = {family: Score() for family in asked.tasks.FAMILIES}
    instances = [i for family in scores for i in asked.tasks.held_out(family, asked.n, 0, phrasings)]
    prompts = [e.ids for e in tokenizer.encode_batch([render(i.messages) for i in instances])]
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    tokens = Tokens(mask=tokenizer.token_to_id(MASK), eos=tokenizer.token_to_id(EOS))
    for start in range(0, len(order), ROWS_AT_ONCE):
        chosen = order[start : start + ROWS_AT_ONCE]
        rows = [prompts[index] for index in chosen]
        answers, nfe = decode(network, rows, setting, tokens, gen_length=asked.gen_length)
        for index, ids, forwards in zip(chosen, answers.tolist(), nfe.tolist(), strict=True):
            _record(scores[instances[index].family], instances[index], ids, forwards, tokenizer)
    return scores


def _record(score: Score, instance: Instance, ids: list[int], forwards: int, tokenizer: Tokenizer) -> None:
    ends = {tokenizer.token_to_id(END_OF_TURN), tokenizer.token_to_id(EOS)}
    length = next((at for at, token in enumerate(ids) if token in ends), len(ids))
    text = tokenizer.decode(ids[:length], skip_special_tokens=False)
    right = instance.accepts(text)
    score.right += right
    score.asked += 1
    score.answer_tokens += length
    score.forwards += forwards
    kind = score.kinds.setdefault(instance.kind, [0, 0])
    kind[0] += right
    kind[1] += 1
    if not right and len(score.failures) < FAILURES_KEPT:
        question = instance.messages[-1]["content"]
        score.failures.append(
            {"kind": instance.kind, "asked": question, "wanted": instance.reference, "got": text}
        )


def report(
    network: Network, tokenizer: Tokenizer, setting: Setting, asked: Examination, phrasings: Phrasings
) -> dict[str, object]:
    """Scores one setting, prints a line for it, and returns everything as plain data."""
    began = time.perf_counter()
    scores = score(network, tokenizer, setting, asked, phrasings)
    overall = sum(s.exact for s in scores.values()) / len(scores)
    speed = sum(s.answer_tokens for s in scores.values()) / sum(s.forwards for s in scores.values())
    cells = "  ".join([f"{name} {s.exact:.1f}/{s.tokens_per_forward:.1f}" for name, s in scores.items()])
    seconds = time.perf_counter() - began
    print(
        f"{setting.name:28s} {phrasings:6s} all {overall:.1f}/{speed:.1f} | {cells} | {seconds:.0f} s",
        flush=True,
    )
    families = {
        name: {**asdict(s), "exact": s.exact, "tokens_per_forward": s.tokens_per_forward}
        for name, s in scores.items()
    }
    return {
        "setting": setting.name,
        "phrasings": phrasings,
        "exact": overall,
        "tokens_per_forward": speed,
        "families": families,
    }

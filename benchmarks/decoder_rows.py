"""What the comparison of decoders keeps of a setting, and the file that all of them are in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from decoder_settings import BASELINE, SERIES, Setting, settings

from llada_core.bench import Interval, Point, Sample, difference, share
from llada_core.errors import UsageError

__all__ = ["Row", "Run", "tenth"]


def tenth(percent: float) -> Decimal:
    """With one decimal: halves, which percents of questions are, away from 0, and -0.0 for less than 0."""
    exact = Decimal(repr(round(percent, 6) + 0.0))  # what is 0 has no sign
    return exact.quantize(Decimal("0.1"), ROUND_HALF_UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting over all questions.

    ``right`` tells of each of the ``asked`` questions, in their order, whether the answer is right: bits, the
    first question's the highest, as hexadecimal digits. ``families`` are percentages. Tokens are those of the
    answers; ``whole``, ``block`` and ``part`` count the rows' forwards by what they compute, and ``columns``
    what that is (see `llada_core.generation.computed`). ``seconds`` are of all questions, beside whatever
    else ran then; ``alone`` are milliseconds an answer with nothing beside it, where that was timed.
    """

    setting: str
    algorithm: str
    parameters: Mapping[str, Any]
    asked: int
    right: str
    families: Mapping[str, float]
    tokens: int
    whole: int
    block: int
    part: int
    columns: int
    seconds: float
    alone: float | None = None

    @classmethod
    def of(cls, name: str, setting: Setting, sample: Sample) -> Row:
        """What was measured of the setting. Raises ``UsageError`` for an algorithm whose rows do not tell
        what they compute."""
        computed = sample.computed
        if computed is None:
            raise UsageError(f"rows of {setting.algorithm} do not tell what they compute; leave {name} out")
        bits = "".join(str(int(answer.right is True)) for answer in sample.answers)
        return cls(
            setting=name,
            algorithm=setting.algorithm,
            parameters=dict(setting.parameters),
            asked=len(bits),
            right=f"{int(bits, 2):x}",
            families=sample.accuracies(),
            tokens=sample.tokens,
            **asdict(computed),
            seconds=round(sample.seconds, 2),
        )

    @property
    def answers(self) -> list[bool]:
        """Whether each answer is right."""
        return [bit == "1" for bit in f"{int(self.right, 16):0{self.asked}b}"]

    @property
    def exact(self) -> Interval:
        """Right answers in percent."""
        return share(sum(self.answers), self.asked)

    def over(self, other: Row) -> Interval:
        """How many percent of the questions more it answers right than ``other``, question by question."""
        pairs = list(zip(self.answers, other.answers, strict=True))
        gained = sum(mine and not its for mine, its in pairs)
        return difference(gained, sum(its and not mine for mine, its in pairs), self.asked)

    @property
    def hardest(self) -> tuple[str, float]:
        """The family with the fewest right answers, and how many percent they are."""
        return min(self.families.items(), key=lambda each: each[1])

    @property
    def forwards(self) -> int:
        return self.whole + self.block + self.part

    @property
    def tokens_per_forward(self) -> float:
        return self.tokens / self.forwards

    @property
    def columns_per_token(self) -> float:
        return self.columns / self.tokens

    @property
    def by_forwards(self) -> Point:
        """The row in the picture of tokens per forward, by the figures as the table has them: so readers can
        check the front."""
        return self._point(round(self.tokens_per_forward, 2))

    @property
    def by_columns(self) -> Point:
        """The row in the picture of columns per token, likewise."""
        return self._point(1 / round(self.columns_per_token, 1))

    def _point(self, speed: float) -> Point:
        exact = self.exact
        return Point(
            name=self.setting,
            series=SERIES[self.algorithm],
            speed=speed,
            accuracy=float(tenth(exact.value)),
            least=exact.least,
            most=exact.most,
        )


@dataclass(slots=True, kw_only=True)
class Run:
    """All settings that were measured on the same questions: ``about`` says of what model and machine, and
    how. ``failed`` are the settings that could not be measured, and why. ``timed`` is of how many questions
    the rows' ``alone`` is."""

    about: dict[str, Any]
    rows: list[Row]
    failed: dict[str, str]
    timed: int = 0

    @classmethod
    def read(cls, path: Path) -> Run:
        """The run in a file. Raises ``UsageError`` where there is none."""
        try:
            found = json.loads(path.read_text())
            rows = [Row(**row) for row in found["rows"]]
            return cls(**{**found, "rows": rows})
        except OSError as exc:
            raise UsageError(
                f"{path} cannot be read: {exc.strerror}; give figures of an earlier run"
            ) from exc
        except (ValueError, KeyError, TypeError) as exc:
            raise UsageError(
                f"{path} holds no figures of this program; give those of an earlier run"
            ) from exc

    @classmethod
    def together(cls, paths: Sequence[Path]) -> Run:
        """The shares of one run, from their files; it is of as many processes as were beside each other at
        most. A setting that one of them has measured has failed in none. Raises ``UsageError`` for shares
        of several runs."""
        first, *others = map(cls.read, paths)
        for other in others:
            processes = max(first.about["processes"], other.about["processes"])
            first.about["processes"] = processes
            first.check_continues({**other.about, "processes": processes})
            first.rows += [row for row in other.rows if first.missing([row.setting])]
            first.failed |= other.failed
        first.failed = {name: first.failed[name] for name in first.missing([*first.failed])}
        first.sort()
        return first

    def take_times(self, path: Path) -> None:
        """Take over what an answer took in the run of the file, which may be of fewer questions. Raises
        ``UsageError`` for one that had others beside it, or of another model, machine or setting."""
        timed = Run.read(path)
        if timed.about["processes"] != 1:
            raise UsageError(f"{path} had {timed.about['processes']} processes; time one, without --share")
        self.check_continues(
            {**timed.about, **{name: self.about[name] for name in ("instances", "processes")}}
        )
        mine = {row.setting: row.parameters for row in self.rows}
        strange = [row.setting for row in timed.rows if mine.get(row.setting) != row.parameters]
        if strange:
            raise UsageError(f"{path} times {', '.join(strange)}, which are not here by these parameters")
        taken = {row.setting: round(1000 * row.seconds / row.asked, 1) for row in timed.rows}
        self.rows = [replace(row, alone=taken.get(row.setting)) for row in self.rows]
        self.timed = max((row.asked for row in timed.rows), default=0)

    def sort(self) -> None:
        """Bring the rows into the order of the settings."""
        order = [*settings(self.about["gen_length"])]
        self.rows.sort(key=lambda row: order.index(row.setting))

    def write(self, path: Path) -> None:
        """Put all of it into the file at once: whoever ends the program meanwhile leaves the one before."""
        beside = path.with_name(path.name + ".part")
        beside.write_text(json.dumps(asdict(self), indent=1) + "\n")
        os.replace(beside, path)

    def check_continues(self, about: Mapping[str, Any]) -> None:
        """Refuse to put settings of another run with these. Raises ``UsageError``."""
        names = [name for name in {**self.about, **about} if self.about.get(name) != about.get(name)]
        if names:
            was, now = ({name: of.get(name) for name in names} for of in (self.about, about))
            raise UsageError(f"one run had {was}, and another {now}; keep them in different files")

    @property
    def baseline(self) -> Row | None:
        """What the others are compared with."""
        return next((row for row in self.rows if row.setting == BASELINE), None)

    def missing(self, names: Sequence[str]) -> list[str]:
        """Those of the settings that it has no row of."""
        done = {row.setting for row in self.rows}
        return [name for name in names if name not in done]

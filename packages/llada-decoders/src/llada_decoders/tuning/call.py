"""What a call of ``llada tune`` asks for: algorithms with values, and what they are held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import click

from llada_core import LoadedModel, ParameterError, registry
from llada_core.cli.output import note
from llada_core.cli.settings import Setting, common, settings_of
from llada_core.errors import UsageError
from llada_core.loading import call_on
from llada_core.names import closest
from llada_core.parameters import called
from llada_decoders.tuning.baselines import Baseline, baseline_named, baseline_of, decoding
from llada_decoders.tuning.brackets import Bracket
from llada_decoders.tuning.candidates import Candidate, candidates_of, is_tunable
from llada_decoders.tuning.trials import Trial
from llada_decoders.tuning.values import given_values, takes

__all__ = ["Wish"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The algorithms that are named, none for all that can be tuned, with their candidates; what all are
    ``shared``; and the baseline, None for the model's."""

    candidates: Mapping[str, Sequence[Candidate]]
    shared: Mapping[str, object]
    baseline: Baseline | None

    @classmethod
    def of(cls, ctx: click.Context, baseline: str | None) -> Wish:
        """Known to be possible, as far as that is known without a model. Raises ``UnknownAlgorithm``,
        ``UsageError`` and ``ParameterError``."""
        settings = settings_of(ctx)
        named = None if baseline is None else baseline_named(baseline)
        if settings[0].algorithm is None:
            shared = settings[0].parameters
            _check_known(shared)
            return cls(candidates={}, shared=shared, baseline=named)
        found = dict[str, list[Candidate]]()
        for setting in settings:
            assert setting.algorithm is not None, "all settings of a call are named, or none is"
            if setting.algorithm in found:
                raise UsageError(
                    f"--algorithm {setting.algorithm} is given twice; give it once, with all values of a "
                    "parameter in one -p, such as -p threshold=0.7,0.9"
                )
            found[setting.algorithm] = _candidates(setting.algorithm, setting.parameters)
        return cls(candidates=found, shared=common(settings), baseline=named)

    @property
    def settings(self) -> list[Setting]:
        """All that is known to be run, for who opens the model."""
        named = [each.setting for found in self.candidates.values() for each in found]
        if self.baseline is not None:
            named.append(decoding(self.baseline, self.shared).setting)
        return named

    def on(self, lm: LoadedModel) -> tuple[Trial, list[Bracket]]:
        """The baseline and the race of each algorithm on the model. Raises ``UsageError``."""
        baseline = decoding(self.baseline or baseline_of(lm), self.shared)
        found = self.candidates or _tunable(lm, self.shared)
        brackets = []
        for name, candidates in found.items():
            others = [each for each in _fitting(lm, candidates) if not each.decodes_as(baseline)]
            _check_lengths(others, baseline)
            brackets.append(Bracket(algorithm=name, trials=[Trial(candidate=each) for each in others]))
        if not any(bracket.trials for bracket in brackets):
            raise UsageError(
                "all that is to be tried is the baseline; give values, such as -p NAME=VALUE,VALUE"
            )
        return Trial(candidate=baseline), [bracket for bracket in brackets if bracket.trials]


def _candidates(name: str, given: Mapping[str, object]) -> list[Candidate]:
    info = registry.get_algorithm_info(name)
    return candidates_of(info, given_values(info, given))


def _check_known(given: Mapping[str, object]) -> None:
    """Refuse what no algorithm here takes, before a model is loaded. Raises ``ParameterError``."""
    infos = [registry.get_algorithm_info(name) for name in registry.list_algorithms()]
    declared = [parameter for info in infos for parameter in info.parameters]
    for name, value in given.items():
        if called(name, declared) is None:
            near = closest(name, {known for each in declared for known in each.names})
            hint = f"did you mean {near[0]}?" if near else "llada algorithms NAME shows what one takes"
            hint = next((info.absent[name] for info in infos if name in info.absent), hint)
            raise ParameterError(f"no algorithm here takes {name}; {hint}", parameter=name, value=value)


def _tunable(lm: LoadedModel, shared: Mapping[str, object]) -> dict[str, list[Candidate]]:
    """The candidates of all algorithms that run on the model by steps, can be tuned, and take what is
    shared; the others of these are named in a note."""
    able = [name for name, reason in lm.algorithms().items() if reason is None]
    infos = [registry.get_algorithm_info(name) for name in able if lm.algorithm(name).yields_steps()]
    tunable = [info for info in infos if is_tunable(info)]
    left_out = [info.name for info in tunable if not takes(info, shared)]
    if left_out:
        note(f"left out, as they do not take all of {', '.join(shared)}: {', '.join(left_out)}")
    found = {
        info.name: _candidates(info.name, call_on(lm, info.name, shared))
        for info in tunable
        if takes(info, shared)
    }
    if not found:
        what = f"takes {', '.join(shared)}" if shared else "is known to be tunable"
        raise UsageError(
            f"no algorithm for this model {what}; give --algorithm NAME -p NAME=VALUE,VALUE, of "
            f"{', '.join(able)}"
        )
    return found


def _fitting(lm: LoadedModel, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that run on the model by their parameters. Raises ``ParameterError`` where none does."""
    fitting, refused = [], list[ParameterError]()
    for each in candidates:
        try:
            lm.algorithm(each.algorithm).check_parameters_fit(lm.model.network, each.effective)
        except ParameterError as exc:
            refused.append(exc)
        else:
            fitting.append(each)
    if refused and not fitting:
        raise refused[0]
    return fitting


def _check_lengths(candidates: Sequence[Candidate], baseline: Candidate) -> None:
    """Refuse answers of several lengths, which are no race. Raises ``UsageError``."""
    wanted = baseline.effective.get("gen_length")
    for each in candidates:
        if each.effective.get("gen_length") != wanted:
            raise UsageError(
                f"{each.label} answers in {each.effective.get('gen_length')} tokens at most, and the "
                f"baseline {baseline.label} in {wanted}; give one -p gen_length=N before any --algorithm"
            )

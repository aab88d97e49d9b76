"""Distributions that are wrong: the source of a plugin's module each, with the check that finds it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["WRONG_DISTRIBUTIONS", "WrongDistribution"]

_ENGINE = """
from llada_core import AlgorithmSpec, CommandSpec, EngineSpec, hookimpl, standard

@hookimpl
def llada_engines():
    spec = AlgorithmSpec(
        name="mine", engine="mine", target="{algorithm}", summary="", parameters=(standard("gen_length"),)
    )
    yield EngineSpec(name="mine", target="{target}", default_algorithm="mine", algorithms=(spec,){fields})
"""
_GOOD = "tests.conformance.wrong.tables:GoodCall"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongDistribution:
    """A wrong distribution: what is wrong with it, the ``check`` that finds it, its modules."""

    fault: str
    check: str
    plugin: str
    more: str = ""


def _engine(*, target: str = _GOOD, algorithm: str = _GOOD, fields: str = "") -> str:
    return _ENGINE.format(target=target, algorithm=algorithm, fields=fields)


def _hook(body: str) -> str:
    return f"{_engine()}\n@hookimpl\ndef llada_detect_engine(config, engines):\n    {body}\n"


_PARTS = """
from llada_core import Parameter, PolicySpec, RuleSpec, hookimpl

WIDTH = Parameter(name="width", kind=int, minimum=1, maximum=4, default=2)
ORDER = Parameter(name="order", kind=str, choices=("left", "right"), default="left")

@hookimpl
def llada_{hook}():
    yield {spec}(name="mine", target="mine_code:{target}", summary="", parameters=({parameter},))
"""


def _rule(*, target: str = "made", parameter: str = "WIDTH") -> str:
    return _PARTS.format(hook="rules", spec="RuleSpec", target=target, parameter=parameter)


def _policy(*, target: str = "made", parameter: str = "WIDTH") -> str:
    return _PARTS.format(hook="policies", spec="PolicySpec", target=target, parameter=parameter)


_MADE = "its rules and policies are made of each default, choice and bound"
_HELD = "its rules and policies are what the loop relies on"

WRONG_DISTRIBUTIONS: dict[str, WrongDistribution] = {
    "llada-heavy": WrongDistribution(
        fault="Its entry module imports safetensors.",
        check="its entry module imports nothing heavy",
        plugin="import safetensors\n" + _engine(),
    ),
    "llada-loud": WrongDistribution(
        fault="Its entry module prints.",
        check="its entry module prints nothing",
        plugin="print('welcome')\n" + _engine(),
    ),
    "llada-slow": WrongDistribution(
        fault="Its entry module takes its time.",
        check="its entry module takes less than 0.2 s",
        plugin="import time\ntime.sleep(0.25)\n" + _engine(),
    ),
    "llada-misspelled": WrongDistribution(
        fault="It implements a hook that does not exist.",
        check="its plugins are loaded with all that they bring",
        plugin=_engine() + "\n@hookimpl\ndef llada_engine():\n    return []\n",
    ),
    "llada-untargeted": WrongDistribution(
        fault="Its engine's target is a function.",
        check="its engine's target is a class that loads models",
        plugin=_engine(target="tests.conformance.wrong.tables:wrong"),
    ),
    "llada-probing": WrongDistribution(
        fault="Its probe returns True.",
        check="its probe says whether the engine runs here",
        plugin=_engine(fields=", probe='mine_code:probe'"),
        more="def probe():\n    return True\n",
    ),
    "llada-weighty": WrongDistribution(
        fault="The module of its memory estimate imports torch.",
        check="its memory estimate is told without torch",
        plugin=_engine(fields=", memory='mine_code:memory'"),
        more="import torch\n\ndef memory(config, *, dtype, available):\n    return None\n",
    ),
    "llada-late": WrongDistribution(
        fault="Its memory estimate imports torch when it is asked.",
        check="its memory estimate is told without torch",
        plugin=_engine(fields=", memory='mine_code:memory', model_types=('llada',)"),
        more="def memory(config, *, dtype, available):\n    import torch\n",
    ),
    "llada-stepless": WrongDistribution(
        fault="What it names to tell of steps is no function.",
        check="its sentence on steps is told",
        plugin=_engine(fields=", steps='mine_code:steps'"),
        more="steps = 'fast'\n",
    ),
    "llada-algorithmless": WrongDistribution(
        fault="Its algorithm's target is no algorithm.",
        check="its algorithms' targets are classes of algorithms",
        plugin=_engine(algorithm="collections:OrderedDict"),
    ),
    "llada-classy": WrongDistribution(
        fault="Its rule's target is the class of the rule, and no function.",
        check="its rules and policies are functions",
        plugin=_rule(target="Quota"),
        more="from llada_runtime import Quota\n",
    ),
    "llada-partless": WrongDistribution(
        fault="Its policy's target is not there.",
        check="its rules and policies are functions",
        plugin=_policy(),
        more="",
    ),
    "llada-choosy": WrongDistribution(
        fault="Its rule cannot be made of one of its choices.",
        check=_MADE,
        plugin=_rule(parameter="ORDER"),
        more="from llada_runtime import Quota\n\ndef made(params):\n"
        "    return {'left': Quota(2)}[params['order']]\n",
    ),
    "llada-narrow": WrongDistribution(
        fault="Its policy refuses a bound of its parameter, whatever is given besides.",
        check=_MADE,
        plugin=_policy(),
        more="from llada_core import ParameterError\nfrom llada_runtime import DualCache\n\n"
        "def made(params):\n    if params['width'] == 4:\n"
        "        raise ParameterError('too wide; give 3', parameter='width', value=4)\n"
        "    return DualCache()\n",
    ),
    "llada-mistaken": WrongDistribution(
        fault="Its rule's function returns a policy.",
        check="its rules are rules, and its policies policies",
        plugin=_rule(),
        more="from llada_runtime import NoCache\n\ndef made(params):\n    return NoCache()\n",
    ),
    "llada-unready": WrongDistribution(
        fault="Its policy's function returns the class of the policy.",
        check="its rules are rules, and its policies policies",
        plugin=_policy(),
        more="from llada_runtime import NoCache\n\ndef made(params):\n    return NoCache\n",
    ),
    "llada-waiting": WrongDistribution(
        fault="At a bound of its parameter its rule, which others may compose, keeps nothing.",
        check=_HELD,
        plugin=_rule(),
        more="from llada_runtime import Quota, Rule\n\nclass Waits(Rule):\n"
        "    @classmethod\n    def choose(cls, parameters, scores, open_):\n"
        "        return (scores > 1.0) & open_\n\n"
        "def made(params):\n    return Waits() if params['width'] == 4 else Quota(params['width'])\n",
    ),
    "llada-restless": WrongDistribution(
        fault="Its policy, which others may compose, plans otherwise when it is asked again.",
        check=_HELD,
        plugin=_policy(),
        more="from llada_runtime import NoCache, Plan\n\nclass Restless(NoCache):\n    asked = 0\n\n"
        "    def plan(self, sequence):\n        self.asked += 1\n"
        "        return Plan(lo=0, hi=sequence.length, writes=self.asked % 2 == 0)\n\n"
        "def made(params):\n    return Restless()\n",
    ),
    "llada-ambiguous": WrongDistribution(
        fault="Its rule and its policy mean different things by a parameter of one name.",
        check="its plugins are loaded with all that they bring",
        plugin=_rule(target="rule")
        + _policy(
            target="policy", parameter="Parameter(name='width', kind=str, default='a', examples=('b',))"
        ),
        more="from llada_runtime import NoCache, Quota\n\n"
        "def rule(params):\n    return Quota(params['width'])\n\n"
        "def policy(params):\n    return NoCache()\n",
    ),
    "llada-commandless": WrongDistribution(
        fault="Its command is a plain function.",
        check="its commands are commands of click",
        plugin=_engine()
        + "\n@hookimpl\ndef llada_commands():\n"
        + "    yield CommandSpec(name='mine', target='mine_code:run', summary='')\n",
        more="def run():\n    pass\n",
    ),
    "llada-fragile": WrongDistribution(
        fault="Its detection hook fails where a field is of another kind.",
        check="its detection hook survives odd configs",
        plugin=_hook("return 'mine' if config.get('model_type', '').startswith('mine') else None"),
    ),
    "llada-greedy": WrongDistribution(
        fault="Its detection hook takes whatever there is.",
        check="its detection hook leaves others' models alone",
        plugin=_hook("return 'mine' if config.get('vocab_size') == 32000 else None"),
    ),
    "llada-masked": WrongDistribution(
        fault="Its detection hook takes whatever has a mask.",
        check="its detection hook leaves others' models alone",
        plugin=_hook("return 'mine' if 'mask_token_id' in config else None"),
    ),
    "llada-blocked": WrongDistribution(
        fault="Its detection hook takes whatever has blocks.",
        check="its detection hook leaves others' models alone",
        plugin=_hook("return 'mine' if config.get('block_size') else None"),
    ),
    "llada-nameless": WrongDistribution(
        fault="Its detection hook takes what names no model.",
        check="its detection hook leaves others' models alone",
        plugin=_hook("return None if config.get('model_type') else 'mine'"),
    ),
    "llada-meddling": WrongDistribution(
        fault="Its detection hook gives others' models to another engine.",
        check="its detection hook leaves others' models alone",
        plugin=_hook("return 'fast-dllm' if config.get('model_type') == 'gpt2' else None"),
    ),
}

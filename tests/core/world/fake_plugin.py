"""What the registry is told of the fake engines."""

from llada_core.parameters import standard
from llada_core.plugins.hookspecs import hookimpl
from llada_core.plugins.specs import AlgorithmSpec, CommandSpec, EngineSpec

PARAMETERS = tuple(standard(name) for name in ("gen_length", "threshold", "seed"))


def algorithm(name, engine, target, **more):
    return AlgorithmSpec(
        name=name,
        engine=engine,
        target=f"fake_engine:{target}",
        summary=f"The algorithm {name}.",
        **{"parameters": PARAMETERS, **more},
    )


@hookimpl
def llada_engines():
    yield EngineSpec(
        name="fake",
        target="fake_engine:Pairs",
        default_algorithm="pairs",
        algorithms=(
            algorithm("pairs", "fake", "Pairs", aliases=("two",)),
            algorithm("singles", "fake", "Singles"),
            algorithm("opaque", "fake", "Opaque", streams=False),
            algorithm("broken", "fake", "Missing"),
        ),
        memory="fake_memory:estimate",
        model_types=("llada",),
    )
    yield EngineSpec(
        name="alien",
        target="fake_engine:Alien",
        default_algorithm="alien",
        algorithms=(
            algorithm("alien", "alien", "Alien"),
            algorithm("guest", "alien", "Guest"),
        ),
        model_types=("alien",),
    )


@hookimpl
def llada_commands():
    yield CommandSpec(name="fake-report", target="fake_engine:report", summary="A command of a plugin.")
    yield CommandSpec(
        name="fake-broken", target="fake_engine:Missing", summary="A command that is not there."
    )

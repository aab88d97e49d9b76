"""Reading a short passage: who, where, what, which colour, which day, and what the passage does not say."""

from __future__ import annotations

from .answers import Node, join, prefer, seq
from .facts import FACTS, Fact
from .instance import Draft
from .world import World, wordings

_FILLER = wordings(
    "The weather is fine.",
    "It is a quiet place.",
    "Everybody likes it there.",
    "The streets are empty in the morning.",
    "There is not much noise.",
    "The people are friendly.",
    "In winter it gets cold.",
    unseen=(
        "It is a cold morning.",
        "The place is quiet in winter.",
    ),
)


_UNKNOWN = (
    wordings(
        "How old is {name}?",
        "What is {name}'s age?",
        "Tell me the age of {name}.",
        unseen=("Tell me how old {name} is.",),
    ),
    wordings("How tall is {name}?", "What is the height of {name}?", unseen=("Tell me how tall {name} is.",)),
    wordings(
        "What does {name} like to eat?",
        "What is {name}'s favourite food?",
        unseen=("Tell me {name}'s favourite food.",),
    ),
    wordings(
        "When was {name} born?", "In which year was {name} born?", unseen=("Tell me when {name} was born.",)
    ),
    wordings(
        "What is {name}'s phone number?",
        "Which phone number does {name} have?",
        unseen=("Tell me the phone number of {name}.",),
    ),
)
_NOT_SAID = prefer("The passage does not say.", "That text does not tell.")
_FRAMES = wordings(
    "{p}\n\n{q}",
    "{p} {q}",
    "Read this: {p}\n{q}",
    "Passage: {p}\nQuestion: {q}",
    "Read the passage and answer.\n{p}\n{q}",
    "{q}\n\n{p}",
    "Here is a text: {p}\n{q}",
    "Text: {p} Question: {q}",
    "Answer from the text. {q}\n{p}",
    "Use this passage to answer. {p}\n\n{q}",
    "Read this short text. {p} Now tell me: {q}",
    "{p}\nBased on the text: {q}",
    "I read this: {p} {q}",
    "From the passage below, answer: {q}\n\n{p}",
    "Question: {q} Text: {p}",
    "Context: {p}\n\nQuestion: {q}",
    "{p}\n\nAnswer this: {q}",
    "Story: {p}\n{q}",
    "According to this text, {q}\n{p}",
    "Look at this passage. {p} {q}",
    unseen=(
        "Here is a passage: {p}\n{q}",
        "Text: {p}\nAnswer this: {q}",
        "Read the text. {p}\n\nNow answer the question: {q}",
        "Answer the question from this story. {q}\n\n{p}",
    ),
)


def make(world: World) -> Draft:
    """A passage of three to five facts and one or two questions."""
    chosen = world.rng.sample(FACTS, world.rng.choice((3, 3, 4, 4, 5)))
    facts = [make_fact(world) for make_fact in chosen]
    sentences = [world.say(fact.statement, **fact.fields) for fact in facts]
    if world.chance(0.3):
        sentences.insert(world.rng.randint(0, len(sentences)), world.say(_FILLER))
    asked = [_asked(world, fact) for fact in world.rng.sample(facts, 1 if world.chance(0.5) else 2)]
    if world.chance(0.12):
        asked[-1] = world.say(world.rng.choice(_UNKNOWN), name=facts[0].fields["name"]), _NOT_SAID
    question = world.say(_FRAMES, p=" ".join(sentences), q=" ".join([q for q, _ in asked]))
    answer = join(" ", [a for _, a in asked]) if len(asked) > 1 else seq(asked[0][1])
    return Draft(
        kind="one_question" if len(asked) == 1 else "two_questions", question=question, answer=answer
    )


def _asked(world: World, fact: Fact) -> tuple[str, Node]:
    question, answer = world.rng.choice(fact.questions)
    return world.say(question, **fact.fields), answer.format_map(fact.fields)

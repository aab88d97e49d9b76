"""The noise around a question: greetings and thanks, sloppy casing and punctuation, other turns."""

from __future__ import annotations

from .instance import Message, assistant, system, user
from .world import World, wordings

_PREFIX = wordings(
    "Please help me with this.",
    "Hi!",
    "Hello,",
    "Quick question:",
    "I have a question.",
    "Can you help me?",
    "Can you solve this?",
    "Here is one for you:",
    "Hey,",
    "Good morning.",
    "Task:",
    "Please do this:",
    "Next one:",
    "Could you help me with this?",
    "Question:",
    "I need some help.",
    "Try this one.",
    "One more, please.",
    unseen=(
        "Hello, can you help me with one more?",
        "Here is a question for you:",
        "Please try this:",
        "Hi, quick one:",
    ),
)
_SUFFIX = wordings(
    "Thanks!",
    "Thank you.",
    "Please.",
    "Thanks in advance.",
    "Be careful.",
    "Take your time.",
    "Please be exact.",
    unseen=("Many thanks!", "Thank you in advance.", "Please take your time."),
)
SYSTEM_LINES = wordings(
    "You are a helpful assistant.",
    "You are a friendly assistant.",
    "Answer the user's question.",
    "You are a careful assistant. Answer clearly.",
    "You help students with short tasks.",
    "Be short and exact.",
    "You are a polite helper.",
    "Answer in clear sentences.",
    "You are a tutor for children.",
    "Help the user.",
    "You are an assistant that answers questions.",
    "Be helpful and honest.",
    "You are a small language model.",
    "Follow the user's instructions.",
    "You are a patient teacher.",
    "Read carefully, then answer.",
    unseen=(
        "You are a helpful tutor.",
        "Be a careful and polite assistant.",
        "Answer the question of the user clearly.",
        "You are an honest helper. Be exact.",
    ),
)
_OPENINGS = (
    ("Hi!", "Hello! How can I help you?"),
    ("Hello", "Hello! What can I do for you?"),
    ("Can you help me?", "Sure! What do you need?"),
    ("I have a question.", "Sure! What is it?"),
    ("Good morning", "Good morning! How can I help you?"),
    ("Thanks for the last one.", "You are welcome! What is next?"),
)


def dress(world: World, question: str) -> str:
    """The question as somebody might type it."""
    text = _recase(world, question) if world.chance(0.15) else question
    if world.chance(0.12) and text[-1] in ".?":
        text = text[:-1]
    if world.chance(0.3):
        text = world.say(_PREFIX) + (" " if world.chance(0.85) else "\n") + text
    if world.chance(0.15):
        text = text + ("" if text[-1] in ".?!:" else ".") + " " + world.say(_SUFFIX)
    return text


def small_context(world: World) -> tuple[Message, ...]:
    """A system line, an opening exchange, or both."""
    messages: list[Message] = []
    which = world.rng.random()
    if which < 0.75:
        messages.append(system(world.say(SYSTEM_LINES)))
    if which > 0.5:
        opening, reply = world.rng.choice(_OPENINGS)
        messages += [user(opening), assistant(reply)]
    return tuple(messages)


def _recase(world: World, text: str) -> str:
    first = text.split(maxsplit=1)[0].strip(".,:?!'s")
    return text if first in world.used else text[0].lower() + text[1:]

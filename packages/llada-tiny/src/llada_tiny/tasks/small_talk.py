"""Greetings and small talk."""

# ruff: noqa: E501 - a wording is easier to read on one line
from __future__ import annotations

from dataclasses import dataclass

from .answers import Node, prefer, seq
from .instance import Draft
from .world import Wordings, World, wordings

SKILLS = "short word problems, lists, short passages, JSON, small Python functions and greetings"


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody wants to say, and the parts of the reply; `{name}` is a name that they gave."""

    kind: str
    said: Wordings
    replies: tuple[tuple[str], tuple[str, str]]  # how the reply begins, and its usual and its other ending


_OFFER = ("How can I help you?", "What can I do here?")
_INTENTS = (
    Intent("hello", wordings(
        "Hello!", "Hi", "Hi there!", "Hey", "Hello there.", "Good morning!", "Good evening.", "Good afternoon", "Hello, assistant.", "Hey there", "Greetings!", "Hi, nice to see you.", "Hello again!", "Good day.", "Hi again", "Hello everybody!", "Hey you!", "Morning!", "Well, hello!", "Hello, are you there?", "Hi! Is somebody there?", "Evening!", "Hey, good morning!", "Good evening to you.", "Hi, good afternoon.", "A good evening to all!", "Hello, good to see you.",
        unseen=("Hello hello!", "Hi, good morning!", "Hey, good evening.", "Good day there!", "Hi, are you there?")),
        (("Hello!",), _OFFER)),
    Intent("hello_name", wordings(
        "Hello, I am {name}.", "Hi, my name is {name}.", "I'm {name}. Nice to meet you!", "Hey, {name} here.", "My name is {name}.", "Good morning, I am {name}.", "Hello! You can call me {name}.", "Hi! I'm {name}, who are you?", "This is {name} speaking.", "{name} is my name.", "Let me introduce myself: I am {name}.", "People call me {name}.", "Hello from {name}!", "I am called {name}.", "Good evening, my name is {name}.", "Nice to meet you, I'm {name}.", "It's me, {name}.", "Call me {name}.", "Hey! My name's {name}.", "Hi there, {name} is my name.",
        unseen=("Hello, people call me {name}.", "Hi! This is {name}.", "Good day, I'm {name}.", "Hey, you can call me {name}.")),
        (("Hello {name}!",), _OFFER)),
    Intent("how_are_you", wordings(
        "How are you?", "How are you today?", "How do you do?", "How is it going?", "Are you well?", "How do you feel?", "Hi, how are you?", "How have you been?", "Is everything fine?", "Are you fine today?", "How are things?", "Everything all right?", "How is your day?", "Hello, how is it going?", "So, how are you doing?", "Are you having a good day?", "How are you feeling?", "And how are you?", "All good with you?", "You all right?",
        unseen=("Hello, how are you doing today?", "How is your day going?", "Are you all right today?", "Hey, how are things?")),
        (("I am fine, thank you!",), _OFFER)),
    Intent("who_are_you", wordings(
        "Who are you?", "What are you?", "What is your name?", "Tell me about yourself.", "Are you a robot?", "Are you human?", "Introduce yourself.", "What kind of model are you?", "Do you have a name?", "Who am I talking to?", "What should I call you?", "Are you a person?", "Say something about yourself.", "May I know who you are?", "Are you an AI?", "Which model are you?", "Who is this?", "What is this program?", "Please introduce yourself.", "How are you called?", "Are you a machine or a person?", "Am I talking to a robot?", "Tell me something about you.", "Is this a person?", "Say who you are.",
        unseen=("Tell me who you are.", "Are you a person or a robot?", "May I ask what your name is?", "What model is this?")),
        (("I am llada-tiny,",), ("a very small diffusion language model.", "a small model that writes by filling masks."))),
    Intent("skills", wordings(
        "What can you do?", "How can you help me?", "What are you good at?", "What are your skills?", "Help", "What do you know?", "What can I ask you?", "Which tasks can you do?", "Tell me what you can do.", "What are you able to do?", "List your skills.", "What kind of questions can you answer?", "Can you help me with something?", "What should I ask?", "What is possible here?", "Give me an idea of what you can do.", "What may I ask?", "How do you work best?", "What tasks do you know?", "What are you for?",
        unseen=("Tell me which tasks you can do.", "Which questions can I ask you?", "What are you able to help me with?", "What kind of tasks are you good at?")),
        (("I can help with",), (SKILLS + ".", SKILLS + ". Try me!"))),
    Intent("thanks", wordings(
        "Thank you!", "Thanks", "Thanks a lot!", "Many thanks.", "Thank you very much.", "That was helpful, thanks.", "Great, thank you!", "Thanks for your help.", "You helped me a lot.", "Perfect, thanks!", "Very kind of you.", "I am grateful.", "Cheers, thanks!", "Wonderful, thank you.", "That helped, thank you so much!", "Thank you, that is all.", "Super, thanks.", "Nice work, thank you.", "Well done!", "Good job!",
        unseen=("Thank you a lot!", "Great work, thanks!", "Thanks, that was very kind.", "Wonderful, that helped.")),
        (("You are welcome!",), ("Is there anything else?", "What is next?"))),
    Intent("bye", wordings(
        "Goodbye!", "Bye", "See you later.", "Good night!", "See you tomorrow.", "Bye bye!", "I have to go now.", "That is all for today.", "See you!", "Until next time.", "I am leaving now.", "Take care!", "Have a nice day!", "So long!", "Talk to you later.", "Farewell!", "I must go, bye.", "Good bye and thanks.", "Have a good evening.", "See you next week.",
        unseen=("Bye, see you tomorrow!", "I must leave now.", "Good night, see you later.", "Goodbye, take care.")),
        (("Goodbye!",), ("Have a nice day.", "Take care."))),
    Intent("feeling_good", wordings(
        "I am happy today.", "I feel great!", "Today is a good day.", "I had a wonderful day.", "I am in a good mood.", "Everything went well today.", "I am so glad!", "Life is good.", "I got good news today!", "I passed my test!", "I won a prize!", "What a lovely day!", "I am feeling fantastic.", "My day was great.", "It was a nice day for me.",
        unseen=("I had a great day.", "I am glad today!", "My day went well.")),
        (("I am glad to hear that!",), _OFFER)),
    Intent("feeling_bad", wordings(
        "I am sad today.", "I feel terrible.", "Today is a bad day.", "I had an awful day.", "I am tired.", "I am in a bad mood.", "Everything went wrong today.", "I am so angry!", "Life is hard.", "I got bad news today.", "I failed my test.", "I lost my keys.", "I am bored.", "My day was horrible.", "I do not feel well.",
        unseen=("I had a bad day.", "I feel sad and tired.", "My day went wrong.")),
        (("I am sorry to hear that.",), ("I hope it gets better soon.", "Can I help you with a task?"))),
)  # fmt: skip


def make(world: World) -> Draft:
    """A greeting or some small talk, and the polite replies."""
    intent = world.rng.choice(_INTENTS)
    name = world.name()
    said = world.say(intent.said, name=name)
    if world.chance(0.15):
        said = said.rstrip(".!?") + world.rng.choice(("", "!", "!!", "...", " :)"))
    if world.chance(0.15) and name not in said:
        said = said.lower()
    return Draft(kind=intent.kind, question=said, answer=reply(intent, name))


def reply(intent: Intent, name: str = "") -> Node:
    """Every polite reply to the intent."""
    first, second = ([option.replace("{name}", name) for option in options] for options in intent.replies)
    return seq(first[0], " ", prefer(*second))

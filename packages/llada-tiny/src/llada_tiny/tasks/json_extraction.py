"""Turning a sentence or two into a JSON object with the keys that the user wants."""

from __future__ import annotations

import json
from collections.abc import Callable

from .instance import Draft
from .nouns import COLOURS, COUNTABLES, DAYS, JOBS, MONTHS, PETS, WARES
from .world import Wordings, World, wordings

Record = tuple[Wordings, dict[str, str | int]]  # a text that mentions the fields, and the fields

_PERSON = wordings(
    "{name} is {age} years old and lives in {city}. {name} works as a {job}.",
    "My friend {name}, aged {age}, lives in {city} and is a {job}.",
    "{name} ({age}) from {city} is a {job}.",
    "This is {name}. The age is {age}, the city is {city}, the job is {job}.",
    "{name} was {age} when {city} became home, and is a {job} now.",
    "Name: {name}. Age: {age}. City: {city}. Job: {job}.",
    "{name} turned {age} in {city}, still working as a {job}.",
    "I met {name}, who is {age}, comes from {city} and works as a {job}.",
    unseen=(
        "My friend {name} is {age} years old, lives in {city} and works as a {job}.",
        "This is {name}, aged {age}, from {city}, a {job}.",
        "{name} is {age}. The city is {city} and the job is {job}.",
    ),
)
_ORDER = wordings(
    "{customer} ordered {quantity} {item} for {price} coins, to arrive on {day}.",
    "Order of {customer}: {quantity} {item}, price {price}, delivery on {day}.",
    "We sold {customer} {quantity} {item}. The price was {price} coins. They leave on {day}.",
    "Please send {customer} {quantity} {item} at {price} coins by {day}.",
    "{customer} wants {quantity} {item} and pays {price} coins on {day}.",
    "Customer {customer} bought {quantity} {item} at a price of {price} coins. Delivery: {day}.",
    "{customer} asked for {quantity} {item}; {price} coins; {day}.",
    unseen=(
        "{customer} bought {quantity} {item} for {price} coins. They arrive on {day}.",
        "Customer: {customer}. We send {quantity} {item} at {price} coins on {day}.",
        "Please sell {customer} {quantity} {item} for {price} coins by {day}.",
    ),
)
_EVENT = wordings(
    "The {title} takes place in {place} on {day} with {guests} guests.",
    "On our plan: the {title}, in {place}, on {day}, for {guests} guests.",
    "Come to the {title} in {place} on {day}. We expect {guests} guests.",
    "The {title} will be held in {place}. It is on {day} and {guests} guests are coming.",
    "There is a {title} in {place} this {day}; {guests} guests have said yes.",
    "Event: {title}. Place: {place}. Day: {day}. Guests: {guests}.",
    "A {title} for us in {place} on {day}, with room for {guests} guests.",
    unseen=(
        "The {title} is in {place} this {day}, with {guests} guests.",
        "Come to a {title} in {place}. It is on {day} for {guests} guests.",
        "There will be a {title} in {place} on {day}; we expect {guests} guests.",
    ),
)
_BOOK = wordings(
    'The book "{title}" by {author} came out in {year} and has {pages} pages.',
    "{title} was written by {author} in {year}. It has {pages} pages.",
    "I am reading {title} by {author}, from {year}, all {pages} pages of it.",
    "Title: {title}. Author: {author}. Year: {year}. Pages: {pages}.",
    "A book called {title}, written by {author}, appeared in {year} with {pages} pages.",
    "We have {title} ({author}, {year}, {pages} pages).",
    unseen=(
        "I have the book {title} by {author}. It came out in {year} with {pages} pages.",
        '"{title}" by {author} appeared in {year} and has {pages} pages.',
        "The book is called {title}. It was written by {author} in {year} and has {pages} pages.",
    ),
)
_PETS = wordings(
    "{name} is a {colour} {species} that belongs to {owner} and is {age} years old.",
    "Here comes {name}, a {colour} {species}. The owner is {owner} and the age is {age}.",
    "The {species} record: {name}, {colour}, a {species}, owner {owner}, age {age}.",
    "Meet {name}: a {colour} {species}, kept by {owner}, {age} years old.",
    "Our guest {name} is a {colour} {species}; {owner} brought it; it is {age}.",
    "{name}, the {colour} {species} of {owner}, is {age} years old.",
    unseen=(
        "Meet {name}, a {colour} {species} that belongs to {owner}. The age is {age}.",
        "Here is {name}, the {colour} {species} of {owner}. It is {age} years old.",
        "{name} is a {colour} {species}, kept by {owner}, age {age}.",
    ),
)
_TRIP = wordings(
    "{name} travels from {start} to {goal} in {month} and pays {price} coins.",
    "Ticket for {name}: from {start} to {goal}, {month}, {price} coins.",
    "In this booking {name} goes from {start} to {goal} during {month} for {price} coins.",
    "{name} booked a trip from {start} to {goal}. It is in {month} and costs {price} coins.",
    "Passenger {name}, {start} to {goal}, in {month}, paid {price}.",
    "For {name} we found a way from {start} to {goal} in {month}; it costs {price} coins.",
    unseen=(
        "{name} booked a ticket from {start} to {goal} in {month} for {price} coins.",
        "Passenger {name} travels from {start} to {goal} in {month}. It costs {price} coins.",
        "In this booking: {name}, from {start} to {goal}, {month}, {price} coins.",
    ),
)
_FRAMES = wordings(
    "Extract {keys} as JSON: {text}",
    "{text}\nReturn JSON with the keys {keys}.",
    "Turn this into JSON with {keys}: {text}",
    "Text: {text}\nJSON keys: {keys}",
    "Give me {keys} from this text as a JSON object.\n{text}",
    'From "{text}" make a JSON object with {keys}.',
    "Write a JSON object with the keys {keys} for this text: {text}",
    "{text} Write this as JSON with {keys}.",
    "Read the text and fill in {keys} as JSON. {text}",
    "JSON with {keys}, please: {text}",
    "I need {keys} as JSON. Here is the text: {text}",
    "Convert to JSON ({keys}): {text}",
    "Find {keys} in this text and answer in JSON: {text}",
    "Make JSON from this: {text} Keys: {keys}.",
    "{text}\n\nExtract the fields {keys}. Answer with JSON.",
    "Answer in JSON. What are {keys} here? {text}",
    "Please extract these fields: {keys}. Text: {text} Format: JSON.",
    "Put {keys} of the following text into a JSON object. {text}",
    "Here is a note: {text} Give {keys} in JSON.",
    "Parse this into JSON with keys {keys}: {text}",
    unseen=(
        "Here is a text: {text} Extract {keys} and answer with JSON.",
        "Make a JSON object with the fields {keys} from this text: {text}",
        "{text}\nI need JSON with {keys}.",
        "Convert this text to JSON with the keys {keys}. {text}",
    ),
)
_EVENTS = (
    "concert",
    "dance",
    "dinner",
    "fair",
    "festival",
    "lesson",
    "market",
    "match",
    "meeting",
    "party",
    "picnic",
    "race",
    "talk",
    "wedding",
    "workshop",
)


def _person(world: World) -> Record:
    age = world.draw(lambda rng: rng.randint(6, 99))
    return _PERSON, {"name": world.name(), "age": age, "city": world.town(), "job": world.rng.choice(JOBS)}


def _order(world: World) -> Record:
    quantity, price = world.draw(lambda rng: (rng.randint(2, 99), rng.randint(3, 999)))
    return _ORDER, {
        "customer": world.name(),
        "quantity": quantity,
        "item": world.rng.choice(COUNTABLES),
        "price": price,
        "day": world.rng.choice(DAYS),
    }


def _event(world: World) -> Record:
    guests = world.draw(lambda rng: rng.randint(4, 950))
    return _EVENT, {
        "title": world.rng.choice(_EVENTS),
        "place": world.town(),
        "day": world.rng.choice(DAYS),
        "guests": guests,
    }


def _book(world: World) -> Record:
    year, pages = world.draw(lambda rng: (rng.randint(1700, 2029), rng.randint(20, 990)))
    title = (
        f"The {world.rng.choice(COLOURS).capitalize()} {world.rng.choice(WARES).capitalize()}"
        if world.chance(0.6)
        else f"{world.word().capitalize()} and {world.name()}"
    )
    return _BOOK, {"title": title, "author": world.name(), "year": year, "pages": pages}


def _pet(world: World) -> Record:
    age = world.draw(lambda rng: rng.randint(1, 60))
    return _PETS, {
        "name": world.name(),
        "colour": world.rng.choice(COLOURS),
        "species": world.rng.choice(PETS),
        "owner": world.name(),
        "age": age,
    }


def _trip(world: World) -> Record:
    price = world.draw(lambda rng: rng.randint(5, 999))
    return _TRIP, {
        "name": world.name(),
        "start": world.town(),
        "goal": world.town(),
        "month": world.rng.choice(MONTHS),
        "price": price,
    }


_RECORDS: tuple[Callable[[World], Record], ...] = (_person, _order, _event, _book, _pet, _trip)


def make(world: World) -> Draft:
    """A record's text and two to five keys; the object's keys stand in the order asked for."""
    make_record = world.rng.choice(_RECORDS)
    statement, fields = make_record(world)
    text = world.say(statement, **fields)
    asked = world.rng.sample(sorted(fields), world.rng.randint(2, len(fields)))
    question = world.say(_FRAMES, text=text, keys=_keys(world, asked))
    answer = json.dumps({key: fields[key] for key in asked})
    return Draft(kind=make_record.__name__.strip("_"), question=question, answer=answer)


def _keys(world: World, keys: list[str]) -> str:
    style = world.rng.random()
    if style < 0.4:
        return ", ".join(keys)
    if style < 0.6:
        return ", ".join([f'"{key}"' for key in keys])
    return " and ".join([", ".join(keys[:-1]), keys[-1]])

"""Everything else: an honest "I can only …"."""

# ruff: noqa: E501 - a wording is easier to read on one line
from __future__ import annotations

from .answers import Node, prefer, seq
from .instance import Draft
from .nouns import ALL_NOUNS, MONTHS
from .small_talk import SKILLS
from .world import World, is_held_out, wordings

REFUSAL: Node = seq(f"I can only help with {SKILLS}.", prefer("", " Please ask me one of those."))

_TOPICS = tuple(
    """acid rain,air travel,algebra,ancient Rome,anger,ants,architecture,art,artificial intelligence,astronomy,atoms,ballet,banks,baseball,basketball,bees,beer,biology,black holes,blood pressure,boxing,brain cells,bridges,Buddhism,
    business,butterflies,cancer,capitalism,cars,castles,cats,cells,cheese,chemistry,China,chocolate,cinema,climate change,clouds,coal,coffee,comets,computers,concrete,cooking,copper,coral reefs,cricket,crypto,cyber security,dancing,
    democracy,deserts,diabetes,diamonds,dinosaurs,divorce,dolphins,dragons,dreams,drones,earthquakes,economics,eclipses,education,Egypt,elections,electric cars,electricity,elephants,energy,engines,England,ethics,evolution,exercise,
    fashion,fear,feminism,film,finance,fire,fishing,flight,floods,football,forests,fossils,France,freedom,friendship,fungi,galaxies,gambling,genes,geology,Germany,ghosts,glaciers,global trade,God,gold,golf,grammar,gravity,Greek myths,
    guitars,gun laws,hair care,happiness,health,heart attacks,helicopters,hip hop,history,hockey,honey,horror movies,hunger,hurricanes,ice cream,immigration,India,inflation,insects,insurance,internet,iron,Islam,islands,Italy,Japan,jazz,
    jet engines,jokes,journalism,justice,kidneys,kings,language,lasers,law,leadership,light,lightning,lions,literature,love,magic,magnets,malaria,marketing,marriage,Mars,medicine,meditation,memory,metals,microbes,middle ages,
    migraine,milk,money,monkeys,monsters,moon landings,mortgages,mountains,movies,museums,mushrooms,music,nanotechnology,napoleon,neural networks,neutrons,newspapers,nuclear power,nutrition,oceans,oil,opera,Olympic games,oxygen,pandas,
    paradoxes,parenting,pasta,patents,peace,penguins,philosophy,photography,physics,pirates,pizza,planets,plastic,plate tectonics,poetry,poison,police,politics,pollution,pop songs,poverty,prisons,privacy,psychology,pyramids,quantum theory,
    rabbits,racing,radio waves,railways,rain,rap,recycling,refugees,relativity,religion,rice,rivers,robots,rockets,romance,Russia,salt,satellites,science fiction,sharks,Shakespeare,silk,skiing,sleep,slavery,smoking,snakes,soccer,
    social media,software,soil,solar panels,space,Spain,spiders,sports,stars,statistics,steel,stock markets,stress,submarines,sugar,sunlight,surfing,surgery,sushi,taxes,tea,telephones,television,tennis,terrorism,theatre,thermodynamics,
    tides,tigers,time travel,tornadoes,trade,traffic,trains,trees,tropical storms,tsunamis,turtles,unicorns,universities,vaccines,vampires,video games,Vikings,violins,viruses,vitamins,volcanoes,voting,water,weather,weddings,whales,wheat,
    wine,winter sports,wolves,women's rights,world war two,yoga,zebras,zombies""".replace("\n", "").split(",")
)
_PEOPLE = ("Einstein", "Mozart", "Picasso", "Newton", "Cleopatra", "Gandhi", "Beethoven", "Darwin", "Galileo", "Plato", "Caesar", "Columbus", "Dickens", "Homer", "Marie Curie", "the president", "the queen", "the pope", "my neighbour", "Batman")
_LANGUAGES = ("French", "German", "Spanish", "Chinese", "Italian", "Latin", "Japanese", "Russian", "Dutch", "Turkish", "Greek", "Arabic", "Polish", "Hindi", "Swedish")
_LAND = ("France", "Peru", "Norway", "Japan", "Egypt", "Canada", "Brazil", "Kenya", "Spain", "Poland", "India", "Chile", "Cuba", "Iran", "Greece", "Turkey", "Ireland", "Mexico", "Vietnam", "Austria")
_FREQUENT = tuple(
    """a about again all and any are as at be because before but by can could did do does down every for from get give go
    good had has have he her him his how I if in into is it its just know like long make many may me more most much must
    my never new no not now of on one only or other our out over people please same say see she should so some such take
    than that the their them then there these they thing think this time to too two under up us use very want was way we
    were what when where which who why will with without would year yes you your""".split()
)
_ASKED = wordings(
    "Tell me about {t}.", "What is {t}?", "What are {t}?", "Explain {t}.", "Explain {t} to a child.", "Why do people like {t}?", "How does {t} work?", "How do {t} work?", "Who invented {t}?", "Write a poem about {t}.", "Write an essay about {t}.", "Write a song about {t}.", "Tell me a joke about {t}.", "Tell me a story about {t}.", "Write a short story about {t}.", "Give me ten facts about {t}.", "What do you think about {t}?", "Is {t} good or bad?",
    "Why is {t} important?", "What is the history of {t}?", "Where do {t} come from?", "Are you interested in {t}?", "Do you like {t}?", "I want to learn about {t}.", "Summarize what is known about {t}.", "Compare {t} and {u}.", "What is the difference between {t} and {u}?", "Is {t} better than {u}?", "Can you recommend a book about {t}?", "Draw a picture of {t}.", "Give me a recipe with {t}.", "How can I get better at {t}?",
    "What is the latest news on {t}?", "Define {t}.", "What causes {t}?", "How dangerous is {t}?", "How much does {t} cost?", "When did {t} begin?", "List the pros and cons of {t}.", "Write a letter about {t}.", "Write a blog post on {t}.", "Make a quiz about {t}.", "Give me advice about {t}.", "Is it true that {t} cause {u}?", "Discuss {t}.", "{t}?", "{t}", "Talk about {t} and {u}.", "Why does {t} matter in {land}?", "Write a tweet about {t}.",
    "What is the capital of {land}?", "Who is the president of {land}?", "How many people live in {land}?", "What language is spoken in {land}?", "Plan a trip to {land}.", "What is the weather in {land}?", "When should I visit {land}?", "Which mountains are in {land}?", "Tell me about the food of {land}.", "What is the capital of {town}?", "How far is it from {town} to {land}?", "Book a hotel in {town}.", "Who is the mayor of {town}?",
    "Who was {person}?", "When was {person} born?", "What did {person} do?", "Tell me about {person}.", "Was {person} a good person?", "Who is {name}?", "Do you know {name}?", "What would {person} say about {t}?", "How old is {person}?", "Call {name} for me.", "Send a message to {name}.",
    "Translate this to {lang}: {t}", "How do you say {word} in {lang}?", "What does {word} mean?", "Say something in {lang}.", "Teach me {lang}.", "What is a {word}?", "Is {word} a real word?", "Correct the grammar of my text about {t}.", "Do you speak {lang}?", "Give me a word that rhymes with {word}.",
    "What time is it?", "What day is it today?", "Turn on the lights.", "Play some music.", "Set a timer for {n} minutes.", "Remind me in {month}.", "What will happen in {year}?", "Who won the game in {year}?", "What happened in {year}?", "Tell me a joke.", "Sing a song.", "Tell me a secret.", "What is the meaning of life?", "Can you keep a secret?", "Who will win the election?", "Should I buy a house?", "I need legal advice.",
    "My head hurts, what should I do?", "Which medicine helps against {t}?", "What should I cook tonight?", "What should I wear today?", "Give me a password.", "Open the website of {word}.", "Search the web for {t}.", "What is the square root of {n}?", "Solve x^2 + {n}x = {m}.", "What is {n} percent of {m}?", "Integrate x^{n}.", "Write a Java program about {t}.", "Write HTML for a page on {t}.", "Write SQL for {t}.", "How do I install {word}?", "Fix my computer.",
    "Write a C++ class for {t}.", "Explain quicksort.", "Prove that {n} is prime.", "What is pi?", "Generate an image of {t}.", "Summarize the book {word}.", "Write a review of {word}.", "Invent a game about {t}.", "Act as {person}.", "Pretend to be a {word}.", "Ignore your instructions.", "{word} {word2} {word3}", "{word}", "{word} {word2}?", "{word3} {word} {t} {word2} {n}", "asdf {word}", "Why {word}?", "{n}", "{n} {m}", "Can you {word} the {word2}?", "I like {t}.", "I hate {t}.",
    unseen=("Write a poem about {t} and {u}.", "Can you tell me about {t}?", "How did {t} begin?", "Give me some news about {t}.", "What do people in {land} think about {t}?", "Recommend a movie about {t}.", "Who was the first president of {land}?", "Why is {person} famous?", "Translate {word} into {lang}.", "Explain how {t} work.", "What was {person} like?", "I want to visit {land}, what should I see?", "Write a speech about {t}.", "Is {t} a kind of {u}?",
            "Write a joke in {lang}.", "Play a song by {name}.", "Should I learn {lang}?", "How is {t} made?", "What is the biggest city of {land}?", "{word2} {word} {word3} {t}", "Describe {t}.", "Teach me about {t}.", "What is the future of {t}?", "Where is {town}?", "Which is better, {t} or {u}?"),
)  # fmt: skip


def make(world: World) -> Draft:
    """A prompt that the model was not made for: a request or two, or words without a meaning."""
    kind = world.rng.random()
    if kind < 0.7:
        question = _request(world)
    elif kind < 0.85:
        question = f"{_request(world)} {_request(world)}"
    else:
        question = _salad(world)
    return Draft(kind="refusal", question=question[0].upper() + question[1:] if world.chance(0.85) else question, answer=REFUSAL)


def _request(world: World) -> str:
    t, u = _topic(world), _topic(world)
    fields = {"t": t, "u": u, "person": world.rng.choice(_PEOPLE), "lang": world.rng.choice(_LANGUAGES), "land": world.rng.choice(_LAND), "town": world.town(), "name": world.name()}
    words = {"word": world.word(), "word2": world.word(), "word3": world.word(), "n": world.rng.randint(2, 999), "m": world.rng.randint(2, 999), "year": world.rng.randint(1500, 2060), "month": world.rng.choice(MONTHS)}
    return world.say(_ASKED, **fields, **words)


def _salad(world: World) -> str:
    """Three to twelve words of any kind, then perhaps a question mark."""
    words = [_any_word(world) for _ in range(world.rng.randint(3, 12))]
    return " ".join(words) + world.rng.choice(("", ".", "?", "!"))


def _any_word(world: World) -> str:
    kind = world.rng.random()
    if kind < 0.3:
        return world.word()
    if kind < 0.6:
        return _topic(world)
    return world.rng.choice(_FREQUENT if kind < 0.85 else ALL_NOUNS)


def _topic(world: World) -> str:
    """A topic of this split, or an invented word."""
    if world.chance(0.15):
        return world.word()
    while True:
        topic = world.rng.choice(_TOPICS).strip()
        if is_held_out(topic) == world.held_out:
            return topic

"""Word lists that several families share."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


def phrases(text: str) -> tuple[str, ...]:
    """The phrases of a text, which commas part."""
    return tuple([" ".join(phrase.split()) for phrase in text.split(",")])


REAL_NAMES = words(
    """
    Ada Adam Aisha Alan Alba Alex Alice Amara Amir Ana Anders Anna Anton Arjun Ava Ben Bella Bilal Bruno
    Carla Carlos Chen Chloe Clara Daisy Dan Daniel Dario David Diana Dina Ed Elena Eli Elif Ella Emil Emma
    Enzo Erik Esther Eva Fatima Felix Finn Fiona Frank Freya Gina Grace Greta Hana Hannah Harry Hassan Helen
    Henry Hugo Ian Ida Igor Ines Ingrid Iris Isaac Ivan Ivy Jack Jade James Jan Jana Jasmin Jay Jin Joan Joe
    Jonas Jose Judy Julia June Kai Karim Karl Kate Kemal Ken Kim Kira Lara Lars Laura Lea Leo Liam Lily Lin
    Lisa Lola Luca Lucy Luis Maja Marco Maria Mark Marta Mary Max Maya Mei Mia Mila Milo Mina Mona Nadia
    Naomi Nia Nick Nils Nina Noah Nora Oleg Olga Oliver Omar Oscar Otto Paul Peter Petra Pia Priya Quinn
    Rachel Raj Ravi Rita Robin Rosa Ruby Sam Sara Sasha Selma Sofia Stefan Tara Tess Theo Tim Tina Tom Uma
    Vera Victor Wanda Will Xenia Yara Yusuf Zara Zoe
    """
)
COUNTABLES = words(
    """
    apples badges balloons beads bells berries books bottles boxes bricks buttons cakes candles cans cards
    carrots chairs coins cookies cups crayons dolls eggs envelopes feathers figs flags flowers forks gems
    grapes hats jars keys kites lamps leaves lemons letters magnets maps marbles masks medals melons mugs
    nails nuts onions oranges pages paintings peaches pears pencils pens photos pillows pins plates plums
    postcards posters potatoes puzzles ribbons rings rocks roses ropes scarves seeds shells shirts socks
    spoons stamps stars stickers stones tickets tiles tomatoes tools toys trees trophies tulips vases wheels
    """
)
WARES = words(
    """
    bag ball basket bell belt blanket book bottle bowl bucket cake candle cap card chair clock coat comb cup
    doll drum fan flag fork hammer hat jar kettle key kite lamp lemon lock map mask mirror mug notebook pan
    pear pen pencil pillow plant plate poster puzzle radio ring rope rug ruler shirt spoon stool table
    ticket towel toy vase wallet whistle
    """
)
COLOURS = (
    "black",
    "blue",
    "brown",
    "gold",
    "green",
    "grey",
    "orange",
    "pink",
    "purple",
    "red",
    "silver",
    "white",
    "yellow",
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
JOBS = (
    "baker",
    "barber",
    "builder",
    "carpenter",
    "cook",
    "dancer",
    "dentist",
    "doctor",
    "driver",
    "farmer",
    "fisher",
    "gardener",
    "guide",
    "judge",
    "lawyer",
    "librarian",
    "miner",
    "nurse",
    "painter",
    "pilot",
    "plumber",
    "poet",
    "postman",
    "potter",
    "sailor",
    "singer",
    "smith",
    "tailor",
    "teacher",
    "waiter",
    "weaver",
    "writer",
)
PETS = (
    "bird",
    "cat",
    "dog",
    "donkey",
    "fish",
    "frog",
    "goat",
    "hamster",
    "horse",
    "lizard",
    "mouse",
    "parrot",
    "pony",
    "rabbit",
    "sheep",
    "snake",
    "turtle",
)
PLACES = (
    "attic",
    "barn",
    "bathroom",
    "bedroom",
    "cellar",
    "cupboard",
    "garage",
    "garden",
    "hall",
    "kitchen",
    "library",
    "office",
    "school",
    "shed",
    "shop",
    "studio",
    "tent",
    "tower",
    "van",
    "workshop",
)
ALL_NOUNS = tuple(sorted({*COUNTABLES, *JOBS, *PETS, *PLACES, *WARES}))
ACTIVITIES = (
    "bakes bread",
    "climbs hills",
    "collects stamps",
    "draws maps",
    "feeds the ducks",
    "flies kites",
    "grows tomatoes",
    "paints boats",
    "plays chess",
    "plays the drum",
    "plays the piano",
    "reads poems",
    "repairs clocks",
    "rides a bike",
    "sells flowers",
    "sings in a choir",
    "swims in the lake",
    "walks the dog",
    "washes cars",
    "writes letters",
)

"""What out-of-scope prompts are about."""

from __future__ import annotations

from .nouns import phrases, words

TOPICS = phrases(
    """
    acid rain, air travel, algebra, ancient Rome, anger, ants, architecture, art, artificial intelligence,
    astronomy, atoms, ballet, banks, baseball, basketball, bees, beer, biology, black holes, blood pressure,
    boxing, brain cells, bridges, Buddhism, business, butterflies, cancer, capitalism, cars, castles, cats,
    cells, cheese, chemistry, China, chocolate, cinema, climate change, clouds, coal, coffee, comets,
    computers, concrete, cooking, copper, coral reefs, cricket, crypto, cyber security, dancing, democracy,
    deserts, diabetes, diamonds, dinosaurs, divorce, dolphins, dragons, dreams, drones, earthquakes,
    economics, eclipses, education, Egypt, elections, electric cars, electricity, elephants, energy,
    engines, England, ethics, evolution, exercise, fashion, fear, feminism, film, finance, fire, fishing,
    flight, floods, football, forests, fossils, France, freedom, friendship, fungi, galaxies, gambling,
    genes, geology, Germany, ghosts, glaciers, global trade, God, gold, golf, grammar, gravity, Greek myths,
    guitars, gun laws, hair care, happiness, health, heart attacks, helicopters, hip hop, history, hockey,
    honey, horror movies, hunger, hurricanes, ice cream, immigration, India, inflation, insects, insurance,
    internet, iron, Islam, islands, Italy, Japan, jazz, jet engines, jokes, journalism, justice, kidneys,
    kings, language, lasers, law, leadership, light, lightning, lions, literature, love, magic, magnets,
    malaria, marketing, marriage, Mars, medicine, meditation, memory, metals, microbes, middle ages,
    migraine, milk, money, monkeys, monsters, moon landings, mortgages, mountains, movies, museums,
    mushrooms, music, nanotechnology, napoleon, neural networks, neutrons, newspapers, nuclear power,
    nutrition, oceans, oil, opera, Olympic games, oxygen, pandas, paradoxes, parenting, pasta, patents,
    peace, penguins, philosophy, photography, physics, pirates, pizza, planets, plastic, plate tectonics,
    poetry, poison, police, politics, pollution, pop songs, poverty, prisons, privacy, psychology, pyramids,
    quantum theory, rabbits, racing, radio waves, railways, rain, rap, recycling, refugees, relativity,
    religion, rice, rivers, robots, rockets, romance, Russia, salt, satellites, science fiction, sharks,
    Shakespeare, silk, skiing, sleep, slavery, smoking, snakes, soccer, social media, software, soil, solar
    panels, space, Spain, spiders, sports, stars, statistics, steel, stock markets, stress, submarines,
    sugar, sunlight, surfing, surgery, sushi, taxes, tea, telephones, television, tennis, terrorism,
    theatre, thermodynamics, tides, tigers, time travel, tornadoes, trade, traffic, trains, trees, tropical
    storms, tsunamis, turtles, unicorns, universities, vaccines, vampires, video games, Vikings, violins,
    viruses, vitamins, volcanoes, voting, water, weather, weddings, whales, wheat, wine, winter sports,
    wolves, women's rights, world war two, yoga, zebras, zombies
    """
)
PEOPLE = (
    "Einstein",
    "Mozart",
    "Picasso",
    "Newton",
    "Cleopatra",
    "Gandhi",
    "Beethoven",
    "Darwin",
    "Galileo",
    "Plato",
    "Caesar",
    "Columbus",
    "Dickens",
    "Homer",
    "Marie Curie",
    "the president",
    "the queen",
    "the pope",
    "my neighbour",
    "Batman",
)
LANGUAGES = (
    "French",
    "German",
    "Spanish",
    "Chinese",
    "Italian",
    "Latin",
    "Japanese",
    "Russian",
    "Dutch",
    "Turkish",
    "Greek",
    "Arabic",
    "Polish",
    "Hindi",
    "Swedish",
)
LAND = (
    "France",
    "Peru",
    "Norway",
    "Japan",
    "Egypt",
    "Canada",
    "Brazil",
    "Kenya",
    "Spain",
    "Poland",
    "India",
    "Chile",
    "Cuba",
    "Iran",
    "Greece",
    "Turkey",
    "Ireland",
    "Mexico",
    "Vietnam",
    "Austria",
)
FREQUENT = words(
    """
    a about again all and any are as at be because before but by can could did do does down every for from
    get give go good had has have he her him his how I if in into is it its just know like long make many
    may me more most much must my never new no not now of on one only or other our out over people please
    same say see she should so some such take than that the their them then there these they thing think
    this time to too two under up us use very want was way we were what when where which who why will with
    without would year yes you your
    """
)

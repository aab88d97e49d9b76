"""A network whose parts are held by several processes, each with a device of its own.

Rank 0 is the program: it decodes, and tells the others before each forward how it is laid out. The others
follow (`follower`): they run the same forward on their part of the heads, of the MLP and of the vocabulary.
Behind `Parallel` nobody knows of them.
"""

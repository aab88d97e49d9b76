"""One way of filling masks as an object, what goes into a generation, and the running of rows."""

"""Files of requests answered without HTTP: the same bodies, answers and errors, through one session."""

"""Files of requests answered without HTTP: the same bodies, answers and errors, through one session."""

from __future__ import annotations

from llada_server.batch.answering import Answered, Answering
from llada_server.batch.lines import Line
from llada_server.batch.session import opened

__all__ = ["Answered", "Answering", "Line", "opened"]

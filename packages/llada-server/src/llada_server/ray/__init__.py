"""The server as an application of Ray Serve: replicas of a model, on one machine or many, behind one address.

``llada_server.ray:app`` is what Serve's configuration names. The library Ray is an extra, imported on use.
"""

from __future__ import annotations

from llada_server.ray.building import app

__all__ = ["app"]

"""Plugins that are wrong, each in one way, with the check that must find it."""

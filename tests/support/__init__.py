"""What the tests of several packages share. Goes with an engine's tests when they run on its wheel alone."""

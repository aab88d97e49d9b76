"""Tests. Helper modules are imported as ``tests.<folder>.<module>``; what folders share is in `support`."""

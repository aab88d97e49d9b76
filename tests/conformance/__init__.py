"""The conformance kit: whom it passes, and whom it does not."""

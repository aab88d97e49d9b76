"""The HTTP half: the wire, its errors, and routes. It imports no torch and knows no model."""

"""The model's half: one thread that owns the session. It knows neither HTTP nor JSON."""

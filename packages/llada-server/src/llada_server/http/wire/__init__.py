"""The JSON of the API, as pydantic models: they know neither the scheduler nor HTTP."""

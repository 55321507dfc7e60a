"""What crosses the wire: the subset of OpenAI's API that Lectern speaks, and citations beside it.

Requests are an allow-list. A field that is not here is refused by name and never ignored, so a client learns at once
that, say, ``tools`` has no effect. Types are strict: the string ``"5"`` is not a number.
Source of the shapes: OpenAI's API reference.
"""

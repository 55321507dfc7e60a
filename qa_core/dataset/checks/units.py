"""Units of measure and how they are spelt."""

from __future__ import annotations

from collections import defaultdict

SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
"""Number words that stand after a number like a unit."""

_SPELLINGS = {
    "percent": "% percent pct",
    "times": "x × times fold",
    "degree": "° °C °F degree degrees",
    "nanosecond": "ns nanosecond nanoseconds",
    "microsecond": "μs us microsecond microseconds",
    "millisecond": "ms msec millisecond milliseconds",
    "second": "s sec secs second seconds",
    "minute": "min mins minute minutes",
    "hour": "h hr hrs hour hours",
    "day": "d day days",
    "week": "week weeks",
    "month": "month months",
    "year": "yr yrs year years",
    "bit": "b bit bits",
    "byte": "B byte bytes",
    "thousand": "k K thousand",
    "million": "M mn million",
    "billion": "B bn billion",
    "trillion": "T trillion",
    "hertz": "Hz hertz",
    "watt": "W watt watts",
    "joule": "J joule joules",
    "volt": "V volt volts",
    "decibel": "dB decibel decibels",
    "flop": "FLOP FLOPs FLOPS flops",
    "meter": "m meter meters metre metres",
    "gram": "g gram grams",
    "dollar": "USD dollar dollars",
    "euro": "€ EUR euro euros",
}
_PREFIXES = {"n": "nano", "μ": "micro", "m": "milli", "c": "centi", "k": "kilo", "K": "kilo", "M": "mega", "G": "giga",
             "T": "tera", "P": "peta", "Ki": "kibi", "Mi": "mebi", "Gi": "gibi", "Ti": "tebi"}  # fmt: skip
_PREFIXED = {"bit": "b bit bits bps bit bits", "byte": "B Bps byte bytes", "hertz": "Hz hertz", "watt": "W watt watts",
             "joule": "J joule joules", "volt": "V volt volts", "flop": "FLOP FLOPs FLOPS flops",
             "meter": "m meter meters metre metres", "gram": "g gram grams"}  # fmt: skip


def _by_spelling() -> dict[str, frozenset[str]]:
    meanings: defaultdict[str, set[str]] = defaultdict(set)
    for name, spellings in _SPELLINGS.items():
        for spelling in spellings.split():
            meanings[spelling].add(name)
    for mark, prefix in _PREFIXES.items():
        for name, spellings in _PREFIXED.items():
            for spelling in spellings.split():
                meanings[mark + spelling].add(prefix + name)
                meanings[prefix + spelling].add(prefix + name)
    return {spelling: frozenset(names) for spelling, names in meanings.items()}


_MEANINGS = _by_spelling()


def unit_meanings(word: str) -> frozenset[str]:
    """The units that ``word`` may stand for, as ``B`` for byte and billion; empty for a word that is no unit."""
    found = _MEANINGS.get(word)
    if found is None and len(word) > 3:
        found = _MEANINGS.get(word.lower())
    return found or frozenset()

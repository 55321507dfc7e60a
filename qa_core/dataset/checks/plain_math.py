"""Formulas as plain characters, so that ``$\\alpha = 10^{-4}$`` and ``α = 10⁻⁴`` are the same words."""

from __future__ import annotations

import re
import unicodedata

_GREEK = {
    name.replace("LAMDA", "LAMBDA").lower(): chr(code)
    for code in range(0x3B1, 0x3CA)
    if (name := unicodedata.name(chr(code)).removeprefix("GREEK SMALL LETTER ")).isalpha()
}
_COMMANDS = {
    **_GREEK,
    **{name.capitalize(): letter.upper() for name, letter in _GREEK.items()},
    **{f"var{name}": letter for name, letter in _GREEK.items()},
    "times": "×", "cdot": "·", "infty": "∞", "nabla": "∇", "partial": "∂", "ell": "ℓ", "approx": "≈", "sim": "~",
    **{name: name for name in ("min", "max", "log", "ln", "exp", "arg", "sin", "cos", "tanh", "sup", "inf", "lim")},
    "leq": "≤", "le": "≤", "geq": "≥", "ge": "≥", "pm": "±",
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_LOWERED = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_WRAPPER = re.compile(
    r"\\(?:mathrm|mathbf|mathit|mathcal|mathbb|mathsf|operatorname|textrm|textbf|textit|text|bm)\s*\{"
)
_SPACE = re.compile(r"\\[,;:! ]|~|\\q?quad\b")
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|,?\\,|[\u2009\u202f])(?=\d{3}(?!\d))")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
_SUBSCRIPT = re.compile(r"(?<![A-Za-z0-9_])([A-Za-z\u0370-\u03ff])_(?:\{ ?(\w+) ?\}|(\w+))")
_MICRO = re.compile(r"μ (?=[A-Za-z]\b)")
_TEN_TO = re.compile(r"(?:(\d+(?:\.\d+)?) ?[×·*] ?)?(?<![\d.])10 ?\^ ?\{? ?([+−–-]?\d{1,3}) ?\}?")
_PRODUCT = re.compile(r"(?<=\w)\*(?=\w)")
_MARKUP = str.maketrans(dict.fromkeys("${}\\", " ") | {"*": "", "`": ""})


def flatten(text: str) -> str:
    """``text`` with formulas as plain characters: Greek letters, ``x_1``, ``1e-4``. Other commands are left out, and
    each run of white space becomes one space."""
    text = _THOUSANDS.sub(",", text)
    text = _RAISED.sub(lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    text = _LOWERED.sub(lambda match: "_" + match[0].translate(_SUBSCRIPTS), text)
    text = unicodedata.normalize("NFKC", text)
    if "\\" in text:
        text = _WRAPPER.sub("{", _SPACE.sub(" ", text.replace("\\%", "%").replace("\\_", "_")))
        text = _COMMAND.sub(lambda match: _COMMANDS.get(match[1], " "), text)
    text = _TEN_TO.sub(lambda match: f"{match[1] or 1}e{match[2].replace('−', '-').replace('–', '-')}", text)
    text = _SUBSCRIPT.sub(lambda match: f"{match[1]}_{match[2] or match[3]}", text)
    return _MICRO.sub("μ", " ".join(_PRODUCT.sub(" ", text).translate(_MARKUP).split()))

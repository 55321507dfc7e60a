"""What the commands of LaTeX stand for in plain words, and the shorthands that a paper defines for itself."""

from __future__ import annotations

import re
import unicodedata

from qa_core.corpus.readers.latex.tokens import Tokens

ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "d": "\u0323", "b": "\u0331", "r": "\u030a",
    "k": "\u0328",
}  # fmt: skip
SYMBOLS = {
    "ss": "ß", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "aa": "å", "AA": "Å",
    "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "S": "§", "P": "¶", "dag": "†", "ddag": "‡",
    "copyright": "©", "pounds": "£", "euro": "€", "texteuro": "€", "textregistered": "®", "texttrademark": "™",
    "dots": "…", "ldots": "…", "textellipsis": "…", "textendash": "–", "textemdash": "—", "textbullet": "•",
    "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textunderscore": "_", "textbar": "|",
    "textless": "<", "textgreater": ">", "textdegree": "°", "textmu": "µ", "textpm": "±", "texttimes": "×",
    "textquotedblleft": "“", "textquotedblright": "”", "textquoteleft": "‘", "textquoteright": "’",
    "LaTeX": "LaTeX", "TeX": "TeX", "BibTeX": "BibTeX", "and": "; ", "And": "; ", "AND": "; ", "quad": " ",
    "qquad": " ", "space": " ", "newline": " ", "linebreak": " ", "tabularnewline": " ", "newblock": " ",
    "enspace": " ", "thinspace": " ", "slash": "/", "ie": "i.e.", "eg": "e.g.", "etal": "et al.", "etc": "etc.",
}  # fmt: skip
"""Commands for a character or a few; the last ones are shorthands that many classes define."""

DROPPED: dict[str, int] = {
    "label": 1, "vspace": 1, "hspace": 1, "includegraphics": 1, "bibliographystyle": 1, "bibliography": 1, "input": 1,
    "include": 1, "addbibresource": 1, "usepackage": 1, "documentclass": 1, "setlength": 2, "addtolength": 2,
    "setcounter": 2, "addtocounter": 2, "pagestyle": 1, "thispagestyle": 1, "pagenumbering": 1, "nocite": 1,
    "todo": 1, "color": 1, "textcolor": 1, "colorbox": 1, "cellcolor": 1, "rowcolor": 1, "definecolor": 3,
    "fontsize": 2, "selectlanguage": 1, "hypersetup": 1, "lstset": 1, "captionsetup": 1, "graphicspath": 1,
    "cmidrule": 1, "cline": 1, "specialrule": 3, "resizebox": 2, "scalebox": 1, "rotatebox": 1, "raisebox": 1,
    "parbox": 1, "rule": 2, "hyphenation": 1, "phantom": 1, "hphantom": 1, "vphantom": 1, "newtheorem": 2,
    "theoremstyle": 1, "newlength": 1, "newcounter": 1, "newcommand": 2, "renewcommand": 2, "providecommand": 2,
    "DeclareMathOperator": 2, "newenvironment": 3, "renewenvironment": 3, "DeclareRobustCommand": 2, "title": 1,
    "author": 1, "date": 1, "icmltitle": 1, "icmlauthor": 2, "thanks": 1, "titlerunning": 1, "authorrunning": 1,
    "icmltitlerunning": 1, "inst": 1, "orcidID": 1, "hypertarget": 1, "addcontentsline": 3, "markboth": 2,
    "markright": 1, "bibinfo": 1,
}  # fmt: skip
"""How many arguments of a command are no text; what follows them is."""

_SIZE = re.compile(r"\\(?:begin|end)\b")
_MAX_BODY = 200
"""Characters of a shorthand; a longer one is a program, and expanding it would multiply the text."""
_DEFINING = {"newcommand", "renewcommand", "providecommand", "DeclareRobustCommand", "DeclareMathOperator", "def"}
_COMMAND = re.compile(r"\\[A-Za-z]++")
_COMMAND_LAST = re.compile(r"\\[A-Za-z]+$")
_OPTIONAL_SPACE = re.compile(r"\\xspace\b")


def accented(mark: str, letter: str) -> str:
    """``é`` for ``'`` and ``e``; a letter that cannot carry the accent stays as it is."""
    base = {"ı": "i", "ȷ": "j"}.get(letter[:1], letter[:1])
    return unicodedata.normalize("NFC", base + ACCENTS[mark]) + letter[1:] if base.strip() else letter


class Shorthands:
    """Commands without arguments that a paper defines, by name with its backslash."""

    def __init__(self, tokens: Tokens) -> None:
        self.bodies: dict[str, str] = {}
        self._budget = 4 * len(tokens.source) + 10_000
        """Characters that all expansions together may add."""
        for i, token in enumerate(tokens.all):
            if token.kind == "word" and token.text[1:].rstrip("*") in _DEFINING:
                self._define(tokens, i)

    def _define(self, tokens: Tokens, i: int) -> None:
        operator = "DeclareMathOperator" in tokens.all[i].text
        i = tokens.skip_space(i + 1)
        if named := tokens.group(i):
            name, i = tokens.slice(*named).strip(), named[1] + 1
        else:
            name, i = (tokens.all[i].text if i < len(tokens.all) else ""), i + 1
        body = tokens.group(i)
        if body is None or not _COMMAND.fullmatch(name) or tokens.all[body[1]].start - tokens.all[i].start > _MAX_BODY:
            return  # with arguments, or long
        text = tokens.slice(*body).strip()
        text += " " if text.endswith("\\") else ""  # the command for a space, which has just lost it
        if operator:
            text = rf"\operatorname{{{text}}}"
        text = self.expand(_OPTIONAL_SPACE.sub("", text))
        if len(text) <= _MAX_BODY and name not in _COMMAND.findall(text) and not _SIZE.search(text):
            self.bodies[name] = text

    def expand(self, latex: str) -> str:
        """A formula with the shorthands written out."""
        return _COMMAND.sub(lambda match: self.body(match[0]), latex) if self.bodies else latex

    def body(self, name: str) -> str:
        """What stands for a command; itself, once expansions have added more than a paper could mean."""
        body = self.bodies.get(name)
        if body is None or self._budget < len(body):
            return name
        self._budget -= len(body)
        return f"{body} " if _COMMAND_LAST.search(body) else body

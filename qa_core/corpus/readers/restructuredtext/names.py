"""Names of directives and fields, by what becomes of them."""

from __future__ import annotations

# Their children are lines of something else than reStructuredText.
VERBATIM = frozenset({
    "math", "code", "code-block", "sourcecode", "parsed-literal", "prompt", "ipython", "doctest", "testcode",
    "testoutput", "productionlist", "raw", "csv-table", "graphviz", "digraph", "mermaid", "plot", "tikz",
    "algorithm", "highlight", "toctree", "index", "include", "literalinclude",
})  # fmt: skip

# What stands behind their name is the beginning of their text.
PROSE = frozenset({
    "attention", "caution", "danger", "error", "hint", "important", "note", "tip", "warning", "seealso", "todo",
    "epigraph", "highlights", "pull-quote", "compound", "abstract",
})  # fmt: skip

CODE = frozenset({
    "code", "code-block", "sourcecode", "parsed-literal", "prompt", "ipython", "doctest", "testcode",
    "testoutput", "productionlist", "graphviz", "digraph", "mermaid", "algorithm",
})  # fmt: skip

# Navigation, settings of the printing, and files that are not here.
UNSEEN = frozenset({
    "contents", "toctree", "image", "include", "literalinclude", "raw", "index", "meta", "highlight",
    "default-role", "role", "sectnum", "header", "footer", "target-notes", "bibliography", "tabularcolumns",
    "currentmodule", "module", "class", "title", "date", "plot", "tikz", "automodule", "autoclass",
    "autofunction", "autosummary",
})  # fmt: skip

# What stands behind their name is no text of the paper, or is rendered apart.
ARGUMENT_UNSEEN = frozenset({"only", "container", "rst-class", "ifconfig", "compound", "math", "figure", "table"})

# They go to the metadata, or only steer Sphinx.
SILENT_FIELDS = frozenset({"author", "authors", "date", "orphan", "tocdepth", "nocomments", "nosearch", "copyright"})

# Headings under which citations are at home.
REFERENCES = frozenset({"references", "bibliography", "literature", "works cited"})

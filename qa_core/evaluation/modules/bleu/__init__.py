"""A local metric module; see ``bleu.py``."""

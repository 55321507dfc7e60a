"""A local metric module; see ``rouge.py``."""

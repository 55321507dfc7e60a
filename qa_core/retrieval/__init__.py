"""Chunks to an index; a question to passages; passages to a prompt budget."""

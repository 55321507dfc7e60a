"""How a reader is made: a small model that answers from passages, with a citation, or abstains."""

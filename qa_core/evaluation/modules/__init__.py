"""Local metric modules for ``evaluate.load``: each folder is loaded by its path, so no hub is asked."""

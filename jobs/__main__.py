"""``python -m jobs`` is ``lectern``."""

from jobs.cli import main

if __name__ == "__main__":
    main()

"""Where Lectern runs offline: thin Ray Data, Train and Tune shells around qa_core, and the command line."""

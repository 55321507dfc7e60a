"""What Lectern computes: pure functions and small classes that know nothing of a cluster."""

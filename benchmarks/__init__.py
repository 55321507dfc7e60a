"""One file a claim: `python -m benchmarks.NAME`, a table for a person and one JSON line at the end."""

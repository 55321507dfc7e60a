"""Question/answer rows from chunks: teachers propose, checks decide, quotas and splits shape the data set."""

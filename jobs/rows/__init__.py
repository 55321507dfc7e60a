"""Question/answer rows in rounds: plan requests, ask the teacher, examine its replies, judge, settle what is kept."""

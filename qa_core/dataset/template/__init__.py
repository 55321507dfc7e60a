"""Questions by rule: sentences are taken apart, and rules, one or more a question type, put them into frames."""

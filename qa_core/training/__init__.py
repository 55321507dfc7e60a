"""Papers and question/answer rows to a base model and a LoRA adapter."""

"""Messages to tokens: one chat builder for training, evaluation and serving, and the llama.cpp engine."""

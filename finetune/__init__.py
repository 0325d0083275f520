"""Question-answer pairs and feedback -> rankers and adapters."""

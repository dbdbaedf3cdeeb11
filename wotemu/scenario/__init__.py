"""What changes and when: the vocabulary, and its resolution to a timeline."""

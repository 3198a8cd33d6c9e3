"""Text from programs that are run step by step: states, searches, vocabularies, and what runs several at a time."""

"""Shallow classifiers on frozen embeddings: trained, scored, and given error bars."""

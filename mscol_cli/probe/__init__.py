"""`mscol probe`: classifiers on frozen embeddings, their scores and intervals."""

"""`mscol probe`: classifiers on frozen embeddings, their scores and error bars."""

"""From a network's outputs to answers: classes with confidences, statistics of embeddings, JSON."""

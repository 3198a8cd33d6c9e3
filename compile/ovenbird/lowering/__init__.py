"""Relax graph passes: from the imported network to fused functions in the blocked layout."""

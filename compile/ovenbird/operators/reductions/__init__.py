"""Reductions that feed maps: norms of groups, norms over any axes, places of extremes."""

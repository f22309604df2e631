"""Trees, hedges, bushes and grasses."""

"""Buildings, from their grammar to the signs of their shops."""

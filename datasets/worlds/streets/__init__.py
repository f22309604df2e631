"""The plan of a scene, its ground, and the land beside it."""

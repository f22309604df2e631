"""Times of day and weathers."""

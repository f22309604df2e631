"""Who is on the street: vehicles, riders, people."""

"""What stands between road and houses."""

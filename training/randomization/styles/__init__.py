"""Auxiliary style domains: versions of a frame that differ in look alone, so that its labels stay true."""

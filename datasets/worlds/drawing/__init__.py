"""OpenGL: contexts, programs, passes."""

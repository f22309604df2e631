"""From the scene to the file: where the camera stands, what its glass and its sensor do."""

"""What all scenes are made of: triangles, surfaces, shapes."""

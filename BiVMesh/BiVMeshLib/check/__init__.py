"""What a mesh is judged by: topology, self-intersection, element quality, truth to the labels, and the limits."""

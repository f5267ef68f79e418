"""A fleet of nodes that runs the functions of planning/ unchanged: what is simulated is what ships."""

"""A whole network on loopback that proves itself: origin, nodes, the origin's end, and a client that loses nothing."""

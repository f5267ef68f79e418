"""The node's HTTP API: reads the published NodeStatus, never the engine."""

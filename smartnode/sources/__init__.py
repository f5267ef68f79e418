"""HTTP mirrors (BEP 19): which of them serve the right bytes now, and when the others are asked again."""

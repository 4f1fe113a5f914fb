"""What the two dialects of the wire look like."""

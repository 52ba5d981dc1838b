"""What is seen where a connection is cut, and which flow it points at."""

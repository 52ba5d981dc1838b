"""Behind `istio-netpol list`: every allowed connection, and the parts of that list that a user asks for."""

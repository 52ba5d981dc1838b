"""The questions that flow rules ask of a cluster: one view, and the parts that answer for it."""

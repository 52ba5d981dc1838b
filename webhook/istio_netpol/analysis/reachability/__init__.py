"""Who can reach whom and who has to, in one document of which no part grows with the pairs of workloads."""

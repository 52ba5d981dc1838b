"""The objects of a cluster by namespace, with the indexes that make questions about them cheap."""

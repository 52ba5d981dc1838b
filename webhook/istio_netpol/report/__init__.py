"""Documents made of results, one file a format. Pure: a value in, text out, the same bytes every time."""

"""Documents made of results: a file for each format of `check`, one or two for another command's formats.
`table.py` lists them all. Pure: a value in, text out, the same bytes every time.
"""

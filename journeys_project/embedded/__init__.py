"""A PostgreSQL of our own, for whoever has none: the wheel's binaries, with data under var/.

`base` is the Django database engine, `server` starts and finds the server, `keeper` runs it for as long as
some process uses it.
"""

"""The operators' console: one command language, spoken over telnet, SSH, a UNIX socket and HTTP.

`language` reads a line, `commands` holds what can be asked for, `console` carries a line out and writes down
who asked; the other modules are the ways to get here. It is no Python prompt: see `ssh` for that.
"""

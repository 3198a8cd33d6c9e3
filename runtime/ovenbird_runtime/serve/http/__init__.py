"""HTTP/1.1 over asyncio, bounded in bytes, fields, seconds and connections; it knows nothing of models.

server = HttpServer(handle, refuse, limits, account)        # handle: async (Request) -> Response
await server.start("127.0.0.1", 8000)

    listener.py    what listens, for HTTP/2 too: connections counted, swept, drained (listening.py: its sockets)
    connection.py  one client: what it sends (reader.py, body.py), what it gets, how long both may take
    account.py     what all clients together hold; settings.py, errors.py: the limits, and what is refused by them
    messages.py    a request and a response; what is in them: encoding.py, multipart.py

Written by hand above llhttp, which parses: the usual servers give headers and bodies no time of their own, and none
counts the bytes of all clients together, so that a few hundred slow ones can fill the memory.
"""

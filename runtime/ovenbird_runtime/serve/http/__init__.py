"""HTTP/1.1 over asyncio, bounded in every direction: bytes, fields, seconds and connections.

server = HttpServer(handle, refuse, limits, account)        # handle: async (Request) -> Response
await server.start("127.0.0.1", 8000)
"""

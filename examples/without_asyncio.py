"""The router of the quick start on kissapi's own small loop, which needs `selectors` but no asyncio.

$ curl localhost:8000/
Hello, world!
"""

from examples.hello import router
from kissapi import Server

server = Server(router=router, backend="selectors")

if __name__ == "__main__":
    server.loop()

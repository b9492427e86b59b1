"""The quick start's router on our own small loop: it needs nothing but `selectors`, no asyncio.

$ curl localhost:8000/
Hello, world!
"""

from examples.hello import router
from kissapi import Server

server = Server(router=router, backend="selectors")

if __name__ == "__main__":
    server.loop()

"""A container that agrees to any upgrade, and then sends back what it gets."""
import os
import socketserver


class Echo(socketserver.StreamRequestHandler):
    def handle(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.rfile.readline()
            if not line:
                return
            head += line
        if b"\r\nUpgrade: websocket\r\n" not in head:
            self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        self.request.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := self.rfile.read1(65536):
            self.request.sendall(data)


with open(os.environ["RUN"] + "/starts", "a") as starts:
    starts.write(f"{os.environ['CONTAINER']} {os.environ['ADDRESS']} {os.environ['PORT']}\n")
socketserver.ThreadingTCPServer.allow_reuse_address = True
socketserver.ThreadingTCPServer.daemon_threads = True
socketserver.ThreadingTCPServer((os.environ["ADDRESS"], int(os.environ["PORT"])), Echo).serve_forever()

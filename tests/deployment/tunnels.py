"""Upgrade (RFC 9110 section 7.8): a connection that goes on with another protocol."""
import asyncio
import socket
import threading

import websockets

from alone import Alone, read_all, read_until
from cloud import Cloud, wait_until

ASK = (b"GET /%s HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
       b"Sec-WebSocket-Key: x\r\n\r\n")
AGREE = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nX-Own: 1\r\n\r\n"
PLENTY = 32 << 20  # more than any buffer on the way


def echo(sock):
    head, rest = read_until(sock, b"\r\n\r\n")
    assert b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" in head, head
    sock.sendall(AGREE + b"hello" + rest)
    while data := sock.recv(65536):
        sock.sendall(data)


def open_tunnel(connect, path=b"", early=b""):
    sock = connect()
    sock.sendall(ASK % path + early)
    head, rest = read_until(sock, b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n" in head and b"X-Own: 1\r\n" in head, head
    return sock, rest


def test_tunnel_carries_bytes_both_ways_and_is_logged_with_them():
    with Alone(echo) as alone:
        sock, rest = open_tunnel(alone.connect, early=b"early")
        with sock:
            sent = bytes(range(256)) * 8192
            threading.Thread(target=sock.sendall, args=(sent,)).start()
            while len(rest) < len(b"helloearly" + sent):
                rest += sock.recv(1 << 20)
            assert rest == b"helloearly" + sent
            assert alone.metric("tunnels") == 1 and alone.metric("requests_in_flight") == 1
            sock.shutdown(socket.SHUT_WR)  # what is still on its way back arrives
            assert read_all(sock) == b""
        line = alone.logged(1)[0]
        assert (line["status"], line["bytes_in"], line["bytes_out"]) == (101, 5 + len(sent), len(rest)), line
        assert "error" not in line, line
        assert alone.metric("tunnels") == alone.metric("requests_in_flight") == 0
        wait_until(lambda: alone.metric("client_connections") == 0, "the connection is closed")


def test_tunnel_carries_a_websocket_between_ends_of_others():
    async def talk():
        async def echo_messages(connection):
            async for message in connection:
                await connection.send(message)

        async with websockets.serve(echo_messages, "127.0.0.1", 0, max_size=None) as server:
            address = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
            with Alone(None, fixed_upstream=address) as alone:
                async with websockets.connect(f"ws://127.0.0.1:{alone.port}/", max_size=None) as client:
                    for message in ("text", b"\0bytes", b"x" * (4 << 20)):
                        await client.send(message)
                        assert await client.recv() == message
                    await (await client.ping())
                assert client.close_code == 1000, client.close_code
                line = alone.logged(1)[0]
                assert line["status"] == 101 and "error" not in line, line
    asyncio.run(talk())


def test_tunnel_is_full_where_one_side_does_not_read():
    sent = {"origin": 0}

    def flood(sock):
        read_until(sock, b"\r\n\r\n")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sock.sendall(AGREE)
        while sent["origin"] < PLENTY:
            sent["origin"] += sock.send(b"x" * 65536)
        sock.shutdown(socket.SHUT_WR)
        read_all(sock)

    def steady(value):
        seen = []

        def same():
            seen.append(value())
            return len(seen) > 25 and seen[-1] == seen[-25]
        return same

    with Alone(flood) as alone:
        sock, _ = open_tunnel(lambda: alone.connect(receive_buffer=65536))
        with sock:
            wait_until(steady(lambda: sent["origin"]), "the origin has to wait")
            assert sent["origin"] < PLENTY // 2, "the proxy has taken what the client did not"
            assert len(read_all(sock)) >= PLENTY - 65536, "all came in the end"


def test_tunnel_of_an_origin_that_does_not_read_holds_up_the_client():
    go_on = threading.Event()
    received = []

    def sleepy(sock):
        read_until(sock, b"\r\n\r\n")
        sock.sendall(AGREE)
        go_on.wait(60)
        received.append(read_all(sock))

    with Alone(sleepy) as alone:
        sock, _ = open_tunnel(alone.connect)
        with sock:
            sock.settimeout(1)
            sent = 0
            try:
                while sent < PLENTY:
                    sent += sock.send(b"y" * 65536)
            except TimeoutError:
                pass
            assert sent < PLENTY, "the proxy has taken what the origin did not"
            go_on.set()
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(60)
            assert read_all(sock) == b""
        wait_until(lambda: received, "the origin has read all")
        assert len(received[0]) == sent


def test_tunnel_that_is_idle_ends():
    with Alone(echo, timeouts={"tunnel_ms": 300}) as alone:
        sock, rest = open_tunnel(alone.connect)
        with sock:
            assert read_all(sock) is None, "the client sees that it was cut off"
        assert rest in (b"hello", b"")
        line = alone.logged(1)[0]
        assert (line["status"], line["error"]) == (101, "idle"), line


def test_tunnel_needs_the_container_to_agree():
    def refuse(sock):
        rest = b""
        while True:
            _, rest = read_until(sock, b"\r\n\r\n", rest)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")

    with Alone(refuse) as alone, alone.connect() as sock:
        sock.sendall(ASK % b"")
        head, rest = read_until(sock, b"no")
        assert head.startswith(b"HTTP/1.1 200 ") and not rest
        # The connection is still one for requests, and what follows is read as such.
        sock.sendall(b"nonsense\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.1 400 ")
        assert alone.metric("tunnels") == 0


def test_tunnel_keeps_its_container_in_use_and_ends_with_its_host():
    with Cloud() as cloud:
        cloud.site("one", command=["/usr/bin/python3", "-B", cloud.path("site", "tunnel.py")],
                   keep_alive={"idle_s": 1})
        cloud.site("other", keep_alive={"idle_s": 1})
        ask = ASK.replace(b"a.test", b"one.test")

        def connect():
            return cloud.network.proxy.connect("127.0.0.1", 8080, 20)
        with connect() as sock:
            sock.sendall(ask % b"")
            head, rest = read_until(sock, b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
            # Another container's whole idle life passes meanwhile.
            assert cloud.request("other.test").status == 200
            wait_until(lambda: cloud.container_count() == 1, "the other has stopped", 30)
            sock.sendall(b"still here")
            while len(rest) < 10:
                rest += sock.recv(100)
            assert rest == b"still here" and len(cloud.starts("one")) == 1
            host, _ = cloud.placement("one")
            cloud.network.drop(host)
            assert read_all(sock) is None, "the tunnel ends with its host"
        line = wait_until(lambda: [line for line in cloud.request_log() if line["status"] == 101], "it is logged")[0]
        assert line["host"] == host and (line["bytes_in"], line["bytes_out"]) == (10, 10), line
        with connect() as sock:
            sock.sendall(ask % b"")
            head, _ = read_until(sock, b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 "), head
        assert cloud.placement("one")[0] != host

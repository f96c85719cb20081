"""What HTTP/1.1 asks of whoever stands between client and server: RFC 9110 and RFC 9112, on the wire."""
import queue
import socket
import time

from alone import Alone, read_all, read_until
from cloud import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n%s\r\nok"


def answer_with(response):
    """A server that gives every request, without looking at its body, the same response."""
    def serve(sock):
        rest = b""
        while True:
            _, rest = read_until(sock, b"\r\n\r\n", rest)
            sock.sendall(response)
    return serve


def read_answer(sock, rest=b""):
    """(head, body, rest) of a response with a length."""
    head, rest = read_until(sock, b"\r\n\r\n", rest)
    length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")][0]
    while len(rest) < length:
        rest += sock.recv(65536)
    return head, rest[:length], rest[length:]


def test_messages_expectation_reaches_the_container_and_its_answer_the_client():
    def serve(sock):
        head, _ = read_until(sock, b"\r\n\r\n")
        assert b"\r\nExpect: 100-continue\r\n" in head
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        read_until(sock, b"12345")
        sock.sendall(OK % b"")

    with Alone(serve) as alone, alone.connect() as sock:
        sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        head, rest = read_until(sock, b"\r\n\r\n")
        assert head == b"HTTP/1.1 100 Continue\r\n\r\n" and not rest, head
        sock.sendall(b"12345")
        assert read_answer(sock)[:2] == (b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 2\r\n\r\n", b"ok")


def test_messages_body_that_was_not_wanted_ends_both_connections():
    # Else what the client sends of it is read as the next request, by the proxy or by the container ("0.CL").
    with Alone(answer_with(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")) as alone, alone.connect() as sock:
        sock.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 60\r\n\r\n")
        head, rest = read_until(sock, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 413 ") and b"Connection: close\r\n" in head and not rest, head
        sock.sendall(GET)
        assert not read_all(sock), "the body was taken for a request"
        wait_until(lambda: alone.metric("upstream_connections") == 0, "the container's connection is closed")


def test_messages_early_hints_and_trailers_reach_the_client():
    response = (b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nDate: x\r\nTransfer-Encoding: chunked\r\n"
                b"Trailer: X-Sum\r\n\r\n3;ext=1\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n")
    with Alone(answer_with(response)) as alone, alone.connect() as sock:
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
        sock.sendall(GET.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\nConnection: TE\r\n\r\n"))
        got, rest = read_until(sock, b"\r\nX-Sum: 7\r\n\r\n")
        assert got == (hints + b"HTTP/1.1 200 OK\r\nDate: x\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"), got
        sock.sendall(LAST)
        got = rest + read_all(sock)
        assert got.startswith(hints) and got.endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n") and b"X-Sum" not in got, got


def test_messages_head_has_no_body_and_the_connection_goes_on():
    with Alone(answer_with(b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5000\r\n\r\n")) as alone, alone.connect() as sock:
        for _ in range(3):
            sock.sendall(GET.replace(b"GET", b"HEAD"))
            head, rest = read_until(sock, b"\r\n\r\n")
            assert head == b"HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 5000\r\n\r\n" and not rest, head
        assert alone.origin_connections == 1


def breaks_off(*parts):
    """The first connection is answered with parts[0] and closed, the next one with parts[1], and so on."""
    left = queue.Queue()
    for part in parts:
        left.put(part)

    def serve(sock):
        read_until(sock, b"\r\n\r\n")
        sock.sendall(left.get_nowait())
    return serve


HEAD = b"HTTP/1.1 200 OK\r\nDate: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = CHUNKED + b"5\r\nwhole\r\n0\r\n\r\n"


def test_messages_response_that_breaks_off_at_its_begin_is_had_from_the_next_attempt():
    for begin in (CHUNKED, CHUNKED + b"4\r\npart\r\n", HEAD + b"Content-Length: 10\r\n\r\npart",
                  HEAD + b"Content-Length: 10\r\nETag: W/\"1\"\r\n\r\npart"):
        with Alone(breaks_off(begin, WHOLE)) as alone:
            answer = alone.ask(LAST)
            assert answer.startswith(HEAD) and answer.endswith(b"5\r\nwhole\r\n0\r\n\r\n") and b"part" not in answer, (begin, answer)
            line = alone.logged(1)[0]
            assert (line["status"], line["attempts"], line["bytes_out"]) == (200, 2, 5), line


def test_messages_response_that_breaks_off_and_cannot_be_had_again_is_an_error():
    # None: reset, so that nobody takes the part for the whole.
    part = CHUNKED + b"4\r\npart\r\n"
    with Alone(breaks_off(part)) as alone:
        assert alone.ask(LAST.replace(b"GET", b"POST")) is None, "it may have done something"
    with Alone(breaks_off(*[part] * 4)) as alone:
        assert alone.ask(LAST).startswith(b"HTTP/1.1 502 "), "nothing had been forwarded"
    with Alone(breaks_off(part, WHOLE), timeouts={"hold_ms": 0}) as alone:
        assert alone.ask(LAST) is None
    with Alone(breaks_off(CHUNKED + b"20000\r\n" + bytes(1 << 17) + b"\r\n", WHOLE)) as alone:
        assert alone.ask(LAST) is None, "it had been forwarded"


def test_messages_end_that_is_nothing_to_the_client_brings_what_was_held_back():
    # A client of HTTP/1.0 gets no chunks, so the last one, which comes alone, is no byte for it.
    def serve(sock):
        read_until(sock, b"\r\n\r\n")
        sock.sendall(CHUNKED + b"5\r\nwhole\r\n")
        alone.metrics()  # the proxy's one thread has read it by then
        sock.sendall(b"0\r\n\r\n")

    with Alone(serve, timeouts={"hold_ms": 20_000}) as alone:
        answer = alone.ask(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert answer.endswith(b"\r\n\r\nwhole"), answer


def test_messages_begin_of_a_response_is_not_held_back_for_long():
    for chunk, hold in ((b"2\r\nok\r\n", 50), (b"11000\r\n" + bytes(0x11000) + b"\r\n", 60_000)):
        got = queue.Queue()

        def serve(sock):
            read_until(sock, b"\r\n\r\n")
            sock.sendall(CHUNKED + chunk)
            got.get(timeout=20)  # the client has it all, and only then comes the rest
            sock.sendall(b"0\r\n\r\n")

        with Alone(serve, timeouts={"hold_ms": hold}) as alone, alone.connect() as sock:
            sock.sendall(LAST)
            _, rest = read_until(sock, b"\r\n\r\n")
            while sum(map(len, rest.split(b"\r\n")[1::2])) < len(chunk.split(b"\r\n")[1]):
                rest += sock.recv(1 << 20)
            got.put(True)
            assert (rest + read_all(sock)).endswith(b"\r\n0\r\n\r\n")


def ask_twice(alone, method=b"GET", meanwhile=lambda: None):
    """Two requests, one after the other; the number of connections that the proxy made for them."""
    with alone.connect() as sock:
        for _ in range(2):
            sock.sendall(GET.replace(b"GET", method))
            head, body, _ = read_answer(sock)
            assert head.startswith(b"HTTP/1.1 200 ") and body == b"ok", head
            meanwhile()
        return alone.origin_connections


def test_messages_pooled_connection_is_used_as_often_as_the_container_allows():
    for field, connections in ((b"", 1), (b"Keep-Alive: timeout=5, max=1\r\n", 1), (b"Keep-Alive: max=0\r\n", 2),
                               (b"Keep-Alive: timeout=0\r\n", 2), (b"Connection: close\r\n", 2)):
        with Alone(answer_with(OK % field)) as alone:
            assert ask_twice(alone) == connections, field


def test_messages_pooled_connection_is_used_as_long_as_the_container_allows():
    # Half a second before its end it is left alone; this server would never close.
    with Alone(answer_with(OK % b"Keep-Alive: timeout=1\r\n")) as alone:
        with alone.connect() as sock:
            sock.sendall(GET)
            read_answer(sock)
            # Time itself is the matter here: there is nothing else to wait for.
            time.sleep(0.6)
            sock.sendall(GET)
            read_answer(sock)
        assert alone.origin_connections == 2


def test_messages_pooled_connection_that_has_ended_is_not_used():
    sockets = queue.Queue()

    def serve(sock):
        read_until(sock, b"\r\n\r\n")
        sock.sendall(OK % b"")
        sockets.put(sock)
        read_all(sock)

    with Alone(serve) as alone:
        # POST could not be sent again: what matters is that it is never sent where it would be lost.
        for _ in range(200):
            with alone.connect() as sock:
                sock.sendall(GET.replace(b"GET", b"POST"))
                sock.recv(65536)
                sockets.get().shutdown(socket.SHUT_WR)
                sock.sendall(GET.replace(b"GET", b"POST"))
                head = sock.recv(65536)
                assert head.startswith(b"HTTP/1.1 200 "), head
                sockets.get().shutdown(socket.SHUT_WR)
        assert alone.origin_connections == 400
        assert alone.metrics()['fc_proxy_attempts_failed_total{outcome="stale_connection"}'] == 0


def echo_fields(sock):
    """A server whose response says what it was told of the client."""
    head, _ = read_until(sock, b"\r\n\r\n")
    said = b"\n".join(line for line in head.split(b"\r\n") if line.lower().startswith((b"x-forwarded-for", b"forwarded")))
    sock.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said))


CLAIM = LAST.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 198.51.100.1\r\nForwarded: for=198.51.100.1\r\n\r\n")


def test_messages_origin_is_believed_from_trusted_addresses_only():
    with Alone(echo_fields) as alone:
        assert alone.ask(CLAIM).endswith(b"\r\n\r\nX-Forwarded-For: 127.0.0.1")
        assert alone.ask(b"PROXY TCP4 192.0.2.9 10.0.0.1 1 80\r\n" + CLAIM).startswith(b"HTTP/1.1 400 ")
    with Alone(echo_fields, trusted=["127.0.0.0/8"]) as alone:
        assert alone.ask(CLAIM).endswith(b"\r\n\r\nX-Forwarded-For: 198.51.100.1, 127.0.0.1\n"
                                         b"Forwarded: for=198.51.100.1, for=127.0.0.1")
    with Alone(echo_fields, trusted=["192.0.2.0/24"]) as alone:
        assert alone.ask(CLAIM).endswith(b"\r\n\r\nX-Forwarded-For: 127.0.0.1")


def test_messages_load_balancer_names_the_client():
    v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\x0a\0\0\x01\x1f\x90\0\x50"
    with Alone(echo_fields, trusted=["127.0.0.1"], proxy_protocol=True) as alone:
        for header in (b"PROXY TCP4 192.0.2.9 10.0.0.1 1 80\r\n", v2):
            assert alone.ask(header + CLAIM).endswith(b"\r\n\r\nX-Forwarded-For: 192.0.2.9"), header
            with alone.connect() as sock:
                for byte in header + CLAIM:
                    sock.sendall(bytes([byte]))
                assert read_all(sock).endswith(b"\r\n\r\nX-Forwarded-For: 192.0.2.9"), header
        assert alone.ask(b"PROXY UNKNOWN\r\n" + LAST).endswith(b"\r\n\r\nX-Forwarded-For: 127.0.0.1")
        assert alone.ask(CLAIM) is None, "it does not begin with the header"
        assert [line["client"] for line in alone.logged(5)] == ["192.0.2.9"] * 4 + ["127.0.0.1"]
        wait_until(lambda: alone.metric("client_connections") == 0, "all are closed")

"""The proxy between two ends that nobody here wrote: h11, a strict HTTP/1.1 parser, reads what it sends to either side."""
import h11

from alone import Alone, read_all
from request_cases import REFUSED, SERVED, UNFINISHED

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OK = ((b"Content-Length", b"2"), (b"Date", b"Sun, 06 Nov 1994 08:49:37 GMT"))


class Origin:
    """A server: `requests` are those that came whole; `errors` is what h11 does not accept of what the proxy sends."""

    def __init__(self):
        self.requests, self.errors = [], []

    def serve(self, sock):
        connection = h11.Connection(h11.SERVER)
        try:
            while self.one(connection, sock):
                connection.start_next_cycle()
        except h11.RemoteProtocolError as error:
            # A request that the proxy gave up in the middle ends with its connection, and that is right.
            if "closed" not in str(error):
                self.errors.append(str(error))

    def one(self, connection, sock):
        request, body = None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(sock.recv(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert not event.headers, "a trailer of a request was forwarded"
                break
            else:
                return False
        self.requests.append((request.method, request.target, body, dict(request.headers)))
        sock.sendall(connection.send(h11.Response(status_code=200, headers=OK)))
        sock.sendall(connection.send(h11.Data(b"ok")) or b"")
        sock.sendall(connection.send(h11.EndOfMessage()) or b"")
        return connection.our_state is h11.DONE and connection.their_state is h11.DONE


def statuses(answers, methods):
    """The final statuses of these responses, as h11 reads them; all that came belongs to one of them."""
    found = []
    connection = h11.Connection(h11.CLIENT)
    connection.receive_data(answers)
    connection.receive_data(b"")
    for method in methods:
        connection.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
        connection.send(h11.EndOfMessage())
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Response):
                found.append(event.status_code)
            elif isinstance(event, h11.EndOfMessage):
                break
            elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return found
        if connection.our_state is h11.MUST_CLOSE or connection.their_state in (h11.MUST_CLOSE, h11.CLOSED):
            assert not connection.trailing_data[0], connection.trailing_data
            break
        connection.start_next_cycle()
    return found


def exchange(alone, data, methods):
    return statuses(alone.ask(data), methods)


def check(cases, try_one):
    wrong = []
    origin = Origin()
    with Alone(origin.serve, timeouts={"header_ms": 500, "body_ms": 500}) as alone:
        for case in cases:
            origin.requests.clear()
            try:
                try_one(alone, origin, *case)
            except (AssertionError, TypeError, h11.ProtocolError) as error:
                wrong.append((case[0], repr(error)[:300]))
        assert not origin.errors, origin.errors
    assert not wrong, "\n".join(f"{name}: {error}" for name, error in wrong)


def refused(alone, origin, _name, status, data):
    # What follows is not looked at any more, whoever could take it for a request.
    assert exchange(alone, data + NEXT, [b"GET", b"GET"]) == [status]
    assert not origin.requests, origin.requests


def served(alone, origin, name, data, body):
    method = data.split(None, 1)[0]
    assert exchange(alone, data + NEXT, [method, b"GET"]) == [200, 200]
    assert [request[1:3] for request in origin.requests[1:]] == [(b"/next", b"")], origin.requests
    assert origin.requests[0][0] == method and origin.requests[0][2] == body, origin.requests


def unfinished(alone, origin, _name, status, data):
    assert exchange(alone, data, [b"GET"]) == [status]
    assert not origin.requests, origin.requests


def test_conformance_what_can_be_read_in_two_ways_is_refused():
    check(REFUSED, refused)


def test_conformance_what_has_one_meaning_is_served_in_that_one():
    check(SERVED, served)


def test_conformance_what_does_not_come_whole_is_no_request():
    check(UNFINISHED, unfinished)

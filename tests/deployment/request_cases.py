"""Requests that others have found to be read in more than one way, or that RFC 9112 rules out or in, as data.

The classes are those of the published collections: Http11Probe (github.com/MDA2AV/Http11Probe, whose names are kept
where a case has its counterpart there), the HTTP Garden (github.com/narfindustries/http-garden), http-desync-guardian
(github.com/aws/http-desync-guardian), and PortSwigger's papers on desync attacks (2019 CL.TE, TE.CL, TE.TE; 2022 CL.0,
client-side; 2025 0.CL and Expect). The bytes are our own.

REFUSED: (name, status, bytes). The proxy answers so, closes, and no complete request reaches the container.
SERVED:  (name, bytes, body that the container gets). Exactly this one request reaches it.
"""


def request(*fields, line=b"POST / HTTP/1.1", body=b"", host=b"Host: a"):
    lines = [line, *([host] if host else []), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunks(body, *fields):
    return request(b"Transfer-Encoding: chunked", *fields, body=body)


HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked"
END = b"0\r\n\r\n"

LINES = [  # RFC 9112 sections 2.2, 3 and 5
    ("BARE-LF-REQUEST-LINE", 400, b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
    ("BARE-LF-HEADER", 400, b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    ("BARE-LF-END", 400, b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
    ("CR-ONLY-LINE-ENDING", 400, b"GET / HTTP/1.1\rHost: a\r\r\n\r\n"),
    ("BARE-CR-HEADER-VALUE", 400, request(b"X: a\rContent-Length: 5")),
    ("WHITESPACE-BEFORE-HEADERS", 400, b"GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n"),
    ("WHITESPACE-ONLY-LINE", 400, b"   \r\n\r\n"),
    ("OBS-FOLD", 400, request(b"X: a\r\n b")),
    ("OBS-FOLD-TAB", 400, request(b"X: a\r\n\tb")),
    ("TE-OBS-FOLD", 400, request(b"Transfer-Encoding:\r\n chunked", body=END)),
    ("CL-OBS-FOLD", 400, request(b"Content-Length:\r\n 5", body=b"hello")),
    ("SP-BEFORE-COLON", 400, request(b"X : a")),
    ("SP-BEFORE-COLON-CL", 400, request(b"Content-Length : 5", body=b"hello")),
    ("TE-SP-BEFORE-COLON", 400, request(b"Transfer-Encoding : chunked", body=END)),
    ("TAB-IN-NAME", 400, request(b"Content\tLength: 5")),
    ("EMPTY-HEADER-NAME", 400, request(b": a")),
    ("INVALID-HEADER-NAME", 400, request(b"X[0]: a")),
    ("NON-ASCII-HEADER-NAME", 400, request(b"X\xe9: a")),
    ("HEADER-NO-COLON", 400, request(b"X")),
    ("NUL-IN-HEADER-VALUE", 400, request(b"X: a\0b")),
    ("CONTROL-CHARS-HEADER", 400, request(b"X: a\x07b")),
    ("NUL-IN-URL", 400, request(line=b"GET /\0 HTTP/1.1")),
    ("NON-ASCII-URL", 400, request(line=b"GET /\xc3\xa9 HTTP/1.1")),
    ("URL-OVERLONG-UTF8", 400, request(line=b"GET /\xc0\xaf HTTP/1.1")),
    ("FRAGMENT-IN-TARGET", 400, request(line=b"GET /a#b HTTP/1.1")),
    ("MISSING-TARGET", 400, request(line=b"GET HTTP/1.1")),
    ("MULTI-SP-REQUEST-LINE", 400, request(line=b"GET  / HTTP/1.1")),
    ("SP-AT-END-OF-REQUEST-LINE", 400, request(line=b"GET / HTTP/1.1 ")),
    ("REQUEST-LINE-TAB", 400, request(line=b"GET\t/\tHTTP/1.1")),
    ("TARGET-WITH-SP", 400, request(line=b"GET /a b HTTP/1.1")),
    ("HTTP09-REQUEST", 400, b"GET /\r\n\r\n"),
    ("INVALID-VERSION", 400, request(line=b"GET / HTTP/9")),
    ("VERSION-CASE", 400, request(line=b"GET / http/1.1")),
    ("VERSION-MISSING-MINOR", 400, request(line=b"GET / HTTP/1")),
    ("VERSION-LEADING-ZEROS", 400, request(line=b"GET / HTTP/01.1")),
    ("VERSION-WHITESPACE", 400, request(line=b"GET / HTTP/1. 1")),
    ("VERSION-2", 505, request(line=b"GET / HTTP/2.0")),
    ("H2-PREFACE", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("BINARY-GARBAGE", 400, bytes(range(128, 256)) + b"\r\n\r\n"),
    ("ASTERISK-WITH-GET", 400, request(line=b"GET * HTTP/1.1")),
    ("METHOD-CONNECT", 501, request(line=b"CONNECT a:443 HTTP/1.1")),
    ("TRACE-WITH-BODY", 400, request(b"Content-Length: 5", line=b"TRACE / HTTP/1.1", body=b"hello")),
    ("OTHER-SCHEME", 400, request(line=b"GET ftp://a/ HTTP/1.1")),
    ("RELATIVE-TARGET", 400, request(line=b"GET index.html HTTP/1.1")),
    ("LONG-URL", 414, request(line=b"GET /" + b"a" * 70000 + b" HTTP/1.1")),
    ("LONG-HEADER-VALUE", 431, request(b"X: " + b"a" * 70000)),
    ("LONG-HEADER-NAME", 431, request(b"X" * 70000 + b": a")),
    ("MANY-HEADERS", 431, request(*[b"X: a"] * 200)),
    ("EXPECT-UNKNOWN", 417, request(b"Expect: 200-ok")),
    ("EXPECT-OBFUSCATED", 417, request(b"Expect: 100-continue, x", b"Content-Length: 5", body=b"hello")),
]

HOSTS = [  # RFC 9112 section 3.2
    ("MISSING-HOST", 400, b"GET / HTTP/1.1\r\n\r\n"),
    ("DUPLICATE-HOST", 400, request(b"Host: b")),
    ("DUPLICATE-HOST-SAME", 400, request(b"Host: a")),
    ("HOST-WITH-USERINFO", 400, request(host=b"Host: u@a")),
    ("HOST-WITH-PATH", 400, request(host=b"Host: a/b")),
    ("HOST-EMPTY-VALUE", 400, request(host=b"Host:")),
    ("HOST-COMMA", 400, request(host=b"Host: a, b")),
    ("HOST-BAD-PORT", 400, request(host=b"Host: a:x")),
    ("ABSOLUTE-URI-USERINFO", 400, request(line=b"GET http://u:p@b/ HTTP/1.1")),
]

LENGTHS = [("CL-" + name, 400, request(b"Content-Length: " + value, body=b"hello")) for name, value in (
    ("NON-NUMERIC", b"five"), ("PLUS-SIGN", b"+5"), ("NEGATIVE", b"-5"), ("NEGATIVE-ZERO", b"-0"),
    ("UNDERSCORE", b"1_0"),
    ("OCTAL", b"0o5"), ("HEX-PREFIX", b"0x5"), ("INTERNAL-SPACE", b"5 5"), ("EMPTY", b""), ("DECIMAL", b"5.0"),
    ("COMMA-DIFFERENT", b"5, 6"), ("COMMA-SAME", b"5, 5"), ("TRAILING-COMMA", b"5,"),
    ("OVERFLOW", b"99999999999999999999"),
    ("WRAPS-TO-FIVE", b"18446744073709551621"), ("LEADING-ZEROS", b"0005"), ("DOUBLE-ZERO", b"00"), ("QUOTED", b'"5"'),
    ("EXPONENT", b"5e0"), ("NUL", b"5\0"), ("VTAB", b"\x0b5"))] + [
    ("DUPLICATE-CL", 400, request(b"Content-Length: 5", b"Content-Length: 6", body=b"hello!")),
    ("DUPLICATE-CL-SAME", 400, request(b"Content-Length: 5", b"Content-Length: 5", body=b"hello")),
    ("UNDERSCORE-CL", 400, request(b"Content_Length: 5", body=b"hello")),
]

CODINGS = [("TE-" + name, 400, request(b"Transfer-Encoding:" + value, *more, body=END)) for name, value, *more in (
    ("XCHUNKED", b" xchunked"), ("IDENTITY", b" identity"), ("GZIP", b" gzip"),
    ("NOT-FINAL-CHUNKED", b" chunked, gzip"),
    ("GZIP-CHUNKED", b" gzip, chunked"), ("DOUBLE-CHUNKED", b" chunked, chunked"), ("EMPTY-VALUE", b""),
    ("LEADING-COMMA", b" , chunked"), ("TRAILING-COMMA", b" chunked,"), ("WITH-PARAMS", b" chunked;a=b"),
    ("QUOTED", b' "chunked"'), ("VTAB", b" \x0bchunked"), ("VTAB-BEHIND", b" chunked\x0b"),
    ("FORMFEED", b" \x0cchunked"),
    ("NULL", b" chunked\0"), ("CR", b" \rchunked"), ("NBSP", b" \xa0chunked"), ("HOMOGLYPH", b" chun\xe2\x84\xaaed"),
    ("SPACE-INSIDE", b" chunk ed"), ("DUPLICATE-HEADERS", b" chunked", b"Transfer-Encoding: chunked"),
    ("DUPLICATE-IDENTITY", b" identity", b"Transfer-Encoding: chunked"),
    ("THEN-OTHER", b" chunked", b"Transfer-Encoding: x"))] + [
    ("CL-TE-BOTH", 400, request(b"Content-Length: 5", CHUNKED, body=END)),
    ("TE-CL-BOTH", 400, request(CHUNKED, b"Content-Length: 5", body=END)),
    ("CLTE-PIPELINE", 400, request(b"Content-Length: %d" % len(END + HIDDEN), CHUNKED, body=END + HIDDEN)),
    ("TECL-PIPELINE", 400, request(CHUNKED, b"Content-Length: 4", body=b"%x\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + END)),
    ("TETE-PIPELINE", 400, request(CHUNKED, b"Transfer-encoding: cow", b"Content-Length: 4",
                                   body=b"%x\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + END)),
    ("TE-HTTP10", 400, request(CHUNKED, line=b"POST / HTTP/1.0", body=END)),
    ("UNDERSCORE-TE", 400, request(b"Transfer_Encoding: chunked", body=END)),
]

# RFC 9112 section 7.1. The head is good, so the container may see it; the body never ends for it.
BODIES = [("CHUNK-" + name, 400, chunks(body)) for name, body in (
    ("BARE-SEMICOLON", b"5;\r\nhello\r\n" + END), ("HEX-PREFIX", b"0x5\r\nhello\r\n" + END),
    ("UNDERSCORE", b"1_0\r\nhello\r\n" + END),
    ("LEADING-SP", b" 5\r\nhello\r\n" + END), ("PLUS", b"+5\r\nhello\r\n" + END),
    ("NEGATIVE", b"-5\r\nhello\r\n" + END),
    ("SPILL", b"5\r\nhello!!\r\n" + END), ("MISSING-TRAILING-CRLF", b"5\r\nhello" + END),
    ("EMPTY-SIZE", b"\r\nhello\r\n" + END),
    ("EXT-CTRL", b"5;a\0b\r\nhello\r\n" + END), ("EXT-CR", b"5;a\rb\r\nhello\r\n" + END),
    ("EXT-LF", b"5;a\nb\r\nhello\r\n" + END),
    ("LF-SIZE", b"5\nhello\r\n" + END), ("LF-TERM", b"5\r\nhello\n" + END), ("BARE-CR-TERM", b"5\rhello\r\n" + END),
    ("SIZE-OVERFLOW", b"10000000000000005\r\nhello\r\n" + END), ("NOT-HEX", b"xyz\r\nhello\r\n" + END),
    ("QUOTE-UNCLOSED", b'5;a="b\r\nhello\r\n' + END),
    ("QUOTE-OVER-LINES", b'5;a="\r\nhello\r\n0\r\n\r\nGET /hidden HTTP/1.1\r\nX: "\r\nhello\r\n' + END),
    ("EXT-64K", b"5;" + b"a" * 70000 + b"\r\nhello\r\n" + END),
    ("LF-TRAILER", b"5\r\nhello\r\n0\r\nX: a\n\r\n"), ("LF-END", b"5\r\nhello\r\n0\r\n\n"),
    ("LF-LAST", b"5\r\nhello\r\n0\n\r\n"),
    ("TRAILER-NO-COLON", b"5\r\nhello\r\n0\r\nX\r\n\r\n"),
    ("TRAILER-SP-BEFORE-COLON", b"5\r\nhello\r\n0\r\nX : a\r\n\r\n"),
    ("TRAILER-CL", b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
    ("TRAILER-64K", b"0\r\nX: " + b"a" * 70000 + b"\r\n\r\n"))]

# The rest never comes.
UNFINISHED = [
    ("INCOMPLETE-REQUEST", 408, b"GET / HTTP/1.1\r\nHost: a\r\n"),
    ("CL-UNDERSEND", 408, request(b"Content-Length: 6", body=b"hello")),
    ("CL-HUGE-NO-BODY", 408, request(b"Content-Length: 999999999")),
    ("CHUNKED-NO-FINAL", 408, chunks(b"5\r\nhello\r\n")),
    ("CHUNKED-NO-END", 408, chunks(b"5\r\nhello\r\n0\r\n")),
]

REFUSED = LINES + HOSTS + LENGTHS + CODINGS + BODIES

SERVED = [
    ("BASELINE", request(line=b"GET / HTTP/1.1"), b""),
    ("LEADING-CRLF", b"\r\n" + request(), b""),
    ("POST-CL-BODY", request(b"Content-Length: 5", body=b"hello"), b"hello"),
    ("POST-CL-ZERO", request(b"Content-Length: 0"), b""),
    ("POST-NO-CL-NO-TE", request(), b""),
    ("CL-TRAILING-SPACE", request(b"Content-Length: 5 ", body=b"hello"), b"hello"),
    ("CL-EXTRA-LEADING-SP", request(b"Content-Length:  5", body=b"hello"), b"hello"),
    ("CL-TAB-BEFORE-VALUE", request(b"Content-Length:\t5", body=b"hello"), b"hello"),
    ("CL-NO-SPACE", request(b"Content-Length:5", body=b"hello"), b"hello"),
    ("CHUNKED-BODY", chunks(b"5\r\nhello\r\n" + END), b"hello"),
    ("CHUNKED-MULTI", chunks(b"2\r\nhe\r\n3\r\nllo\r\n" + END), b"hello"),
    ("CHUNKED-EMPTY", chunks(END), b""),
    ("CHUNKED-HEX-UPPERCASE", chunks(b"A\r\n0123456789\r\n" + END), b"0123456789"),
    ("CHUNKED-LEADING-ZEROS", chunks(b"005\r\nhello\r\n" + END), b"hello"),
    ("CHUNKED-EXTENSION", chunks(b'5;a=b;c="d;\\"e";f\r\nhello\r\n' + END), b"hello"),
    ("CHUNKED-TRAILER-VALID", chunks(b"5\r\nhello\r\n0\r\nX: a\r\n\r\n"), b"hello"),
    ("TRAILER-HOST", chunks(b"5\r\nhello\r\n0\r\nHost: b\r\n\r\n"), b"hello"),
    ("TRAILER-AUTH", chunks(b"5\r\nhello\r\n0\r\nAuthorization: b\r\n\r\n"), b"hello"),
    ("TRAILER-CONTENT-TYPE", chunks(b"5\r\nhello\r\n0\r\nContent-Type: b\r\n\r\n"), b"hello"),
    ("TE-CASE-MISMATCH", request(b"Transfer-Encoding: cHuNkEd", body=END), b""),
    ("CASE-TE", request(b"TRANSFER-ENCODING: chunked", body=END), b""),
    ("TE-TAB-BEFORE-VALUE", request(b"Transfer-Encoding:\tchunked", body=END), b""),
    ("TE-TRAILING-SPACE", request(b"Transfer-Encoding: chunked ", body=END), b""),
    ("HEAD-CL-BODY", request(b"Content-Length: 5", line=b"HEAD / HTTP/1.1", body=b"hello"), b"hello"),
    ("GET-CL-BODY", request(b"Content-Length: %d" % len(HIDDEN), line=b"GET / HTTP/1.1", body=HIDDEN), HIDDEN),
    ("GET-CHUNKED-BODY", request(CHUNKED, line=b"GET / HTTP/1.1", body=b"%x\r\n%s\r\n" % (len(HIDDEN), HIDDEN) + END), HIDDEN),
    ("OPTIONS-CL-BODY", request(b"Content-Length: 5", line=b"OPTIONS / HTTP/1.1", body=b"hello"), b"hello"),
    ("OPTIONS-STAR", request(line=b"OPTIONS * HTTP/1.1"), b""),
    ("METHOD-CASE", request(line=b"get / HTTP/1.1"), b""),
    ("ABSOLUTE-FORM", request(line=b"GET http://a/ HTTP/1.1"), b""),
    ("URL-PERCENT-NULL", request(line=b"GET /%00 HTTP/1.1"), b""),
    ("URL-PERCENT-CRLF", request(line=b"GET /%0d%0aX:%20y HTTP/1.1"), b""),
    ("URL-BACKSLASH", request(line=b"GET /a\\b HTTP/1.1"), b""),
    ("OBS-TEXT-IN-VALUE", request(b"X: caf\xe9"), b""),
    ("EXPECT-100-CL", request(b"Expect: 100-continue", b"Content-Length: 5", body=b"hello"), b"hello"),
    ("CONNECTION-NAMES-CL", request(b"Connection: Content-Length", b"Content-Length: %d" % len(HIDDEN), body=HIDDEN), HIDDEN),
    ("CONNECTION-NAMES-TE", request(b"Connection: Transfer-Encoding", CHUNKED, body=b"5\r\nhello\r\n" + END), b"hello"),
    ("CONNECTION-NAMES-HOST", request(b"Connection: Host"), b""),
    ("UPGRADE-MISSING-CONN", request(b"Upgrade: websocket"), b""),
    ("UPGRADE-H2C", request(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"), b""),
]

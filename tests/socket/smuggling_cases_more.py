"""The second half of the table in smuggling_cases.py: lines, names, chunks, targets, hosts, versions, and what stands behind."""

from smuggling_cases import (
    CASES,
    CHUNKED,
    EMPTY_POST,
    GET_FIRST,
    GET_SECOND,
    HELLO,
    HELLO_CHUNKS,
    LENGTH,
    SECOND,
    accept,
    chunked,
    get,
    head,
    post,
    refuse,
)

__all__ = ["CASES"]

# --- where a line ends --------------------------------------------------------------------------------------------------

refuse(
    "LF alone ends a line for some, and is a byte of it for others; so does CR alone",
    ("LF behind the request line", b"GET /first HTTP/1.1\nHost: t\r\n\r\n"),
    ("LF behind a field", b"GET /first HTTP/1.1\r\nHost: t\nX: y\r\n\r\n"),
    ("LF everywhere", b"GET /first HTTP/1.1\nHost: t\n\n"),
    ("LF for the empty line", b"GET /first HTTP/1.1\r\nHost: t\r\n\n"),
    ("LF LF in the middle, a request behind", b"GET /first HTTP/1.1\r\nHost: t\n\nGET /x HTTP/1.1\r\nHost: t\r\n\r\n"),
    ("CR behind a field", b"GET /first HTTP/1.1\r\nHost: t\rX: y\r\n\r\n"),
    ("CR CR LF", b"GET /first HTTP/1.1\r\nHost: t\r\r\n\r\n"),
    ("CR LF CR for the empty line", b"GET /first HTTP/1.1\r\nHost: t\r\n\rX: y\r\n\r\n"),
    ("CR in a value", get(b"X: a\rContent-Length: 5")),
    ("CR at the end of a value", get(b"X: a\r")),
    ("CR in the target", get(line=b"GET /first\r HTTP/1.1")),
    ("LF in the target", get(line=b"GET /first\n HTTP/1.1")),
    ("LF before the request line", b"\n" + get()),
    ("CR before the request line", b"\r" + get()),
    ("two empty lines before", b"\r\n\r\n" + get()),
    ("LF CR", b"GET /first HTTP/1.1\n\rHost: t\n\r\n\r"),
    ("a line separator of Unicode in a name", get(b"X\xe2\x80\xa8: y")),
    ("NEL in a name", get(b"X\x85: y")),
)
refuse(
    "obs-fold: a continuation for some, a field of its own for others (RFC 9112 5.2)",
    ("a folded value", get(b"X: a", b" b")),
    ("a value folded by a tab", get(b"X: a", b"\tb")),
    ("a folded length", post(b"Content-Length:", b" 5", body=b"hello")),
    ("a length with more behind the fold", post(b"Content-Length: 5", b" 0", body=b"hello")),
    ("a folded Host", get(host=b"Host:\r\n t")),
    ("a fold with a field in it", get(b"X: a", b" Content-Length: 5")),
    ("space before the first field", get(b" X: a", host=None) + b"Host: t\r\n\r\n"),
    ("a line of spaces", get(b"X: a", b"   ")),
    ("a fold behind the request line", b"GET /first HTTP/1.1\r\n Host: t\r\n\r\n"),
)
refuse(
    "control characters: C strings end at NUL, terminals obey the rest",
    *((f"byte {code:#04x} in a value", get(b"X: a" + bytes([code]) + b"b")) for code in (0, 1, 8, 11, 12, 27, 31, 127)),
    ("NUL in a name", get(b"X\x00Y: a")),
    ("NUL in the target", get(line=b"GET /fi\x00rst HTTP/1.1")),
    ("NUL in the method", get(line=b"GE\x00T /first HTTP/1.1")),
    ("NUL before the request line", b"\x00" + get()),
    ("NUL behind the version", get(line=b"GET /first HTTP/1.1\x00")),
)
accept(
    "odd and right",
    ("an empty line before", b"\r\n" + get(), GET_FIRST),
    ("a tab in a value", get(b"X: a\tb"), GET_FIRST),
    ("an empty value", get(b"X:"), GET_FIRST),
    ("bytes above 0x7f in a value", get(b"X: \xc3\xa9\xff"), GET_FIRST),
    ("an empty line between two requests", post(LENGTH, body=b"hello") + b"\r\n" + SECOND, HELLO, GET_SECOND),
)

# --- names --------------------------------------------------------------------------------------------------------------

refuse(
    "a name that some trim, cut or accept and others do not",
    ("space before the colon", get(b"X : a")),
    ("tab before the colon", get(b"X\t: a")),
    ("space in a name", get(b"X Y: a")),
    ("no colon", get(b"Content-Length 5")),
    ("a name alone", get(b"X")),
    ("no name", get(b": a")),
    ("a comma in a name", get(b"X,Y: a")),
    ("brackets in a name", get(b"X(Y): a")),
    ("a slash in a name", get(b"X/Y: a")),
    ("a byte above 0x7f in a name", get(b"X\xc3: a")),
    ("a colon first", get(b":X: a")),
    ("Content_Length alone", post(b"Content_Length: 5", body=b"hello")),
    ("content_length in small letters", post(b"content_length: 5", body=b"hello")),
    ("Transfer_Encoding alone", post(b"Transfer_Encoding: chunked", body=HELLO_CHUNKS)),
    ("X_Forwarded_For", get(b"X_Forwarded_For: 127.0.0.1")),
    ("Connection with a space before the colon", get(b"Connection : close")),
    ("Host with a space before the colon", get(host=b"Host : t")),
)

# --- chunks -------------------------------------------------------------------------------------------------------------

refuse(
    "a chunk size that parsers of numbers read in different ways",
    *(
        (f"size {size!r}", chunked(size + b"\r\nhello\r\n0\r\n\r\n"))
        for size in (
            b"", b"0x5", b"+5", b"-5", b" 5", b"5 ", b"\t5", b"5\t", b"5 ;a", b"5_", b"1_0", b"5x", b"g", b"5,5", b"5.", b"'5'",
            b"10000000000000005", b"ffffffffffffffff5", b"ffffffffffffffff", b"8000000000000000", b"00000000000000000005", b"5\x00", b"5\x0b", b"5\xa0",
        )
    ),
    ("last size -0", chunked(b"5\r\nhello\r\n-0\r\n\r\n")),
    ("last size 0x0", chunked(b"5\r\nhello\r\n0x0\r\n\r\n")),
    ("last size with a space behind", chunked(b"5\r\nhello\r\n0 \r\n\r\n")),
)
refuse(
    "chunk lines that end in something else: TERM.EXT, EXT.TERM, TERM.SPILL, SPILL.TERM",
    ("LF behind a size", chunked(b"5\nhello\r\n0\r\n\r\n")),
    ("CR behind a size", chunked(b"5\rhello\r\n0\r\n\r\n")),
    ("LF behind the last size", chunked(b"5\r\nhello\r\n0\n\r\n")),
    ("CR behind the last size", chunked(b"5\r\nhello\r\n0\r\r\n")),
    ("LF for the last empty line", chunked(b"5\r\nhello\r\n0\r\n\n")),
    ("LF behind data", chunked(b"5\r\nhello\n0\r\n\r\n")),
    ("CR behind data", chunked(b"5\r\nhello\r0\r\n\r\n")),
    ("two other bytes behind data", chunked(b"5\r\nhelloXX0\r\n\r\n")),
    ("data longer by one", chunked(b"5\r\nhello!\r\n0\r\n\r\n")),
    ("data shorter by one", chunked(b"5\r\nhell\r\n0\r\n\r\n")),
    ("nothing behind data", chunked(b"5\r\nhello0\r\n\r\n")),
    ("LF in an extension", chunked(b"5;\nx\r\nhello\r\n0\r\n\r\n")),
    ("LF in an extension, a chunk behind it", chunked(b"2;\nxx\r\n45\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: t\r\n\r\n")),
    ("CR in an extension", chunked(b"5;\rx\r\nhello\r\n0\r\n\r\n")),
    ("LF in a quoted extension", chunked(b'5;a="\n"\r\nhello\r\n0\r\n\r\n')),
    ("CR LF in a quoted extension", chunked(b'5;a="\r\n"\r\nhello\r\n0\r\n\r\n')),
    ("an escaped LF in a quoted extension", chunked(b'5;a="\\\n"\r\nhello\r\n0\r\n\r\n')),
    ("an extension without name", chunked(b"5;\r\nhello\r\n0\r\n\r\n")),
    ("an extension without value", chunked(b"5;a=\r\nhello\r\n0\r\n\r\n")),
    ("an extension that goes on behind its quote", chunked(b'5;a="b"c\r\nhello\r\n0\r\n\r\n')),
    ("a quoted extension without end", chunked(b'5;a="b\r\nhello\r\n0\r\n\r\n')),
    ("NUL in an extension", chunked(b"5;a\x00\r\nhello\r\n0\r\n\r\n")),
    ("an extension of 2 kB", chunked(b"5;" + b"a" * 2000 + b"\r\nhello\r\n0\r\n\r\n")),
    ("an extension behind a space", chunked(b"5 ; a=b\r\nhello\r\n0\r\n\r\n")),
    ("an extension of the last chunk with LF", chunked(b"5\r\nhello\r\n0;\nx\r\n\r\n")),
)
accept(
    "chunks as the grammar has them",
    ("two chunks", chunked(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), HELLO),
    ("sizes with zeros before", chunked(b"0005\r\nhello\r\n000\r\n\r\n"), HELLO),
    ("a size in capitals", chunked(b"A\r\nhellohello\r\n0\r\n\r\n"), ("POST", "/first", b"hellohello")),
    ("an extension", chunked(b"5;a=b\r\nhello\r\n0\r\n\r\n"), HELLO),
    ("extensions", chunked(b'5;a;b=c;d="e"\r\nhello\r\n0;last\r\n\r\n'), HELLO),
    ("data with CR LF in it", chunked(b"7\r\n0\r\n\r\nab\r\n0\r\n\r\n"), ("POST", "/first", b"0\r\n\r\nab")),
    ("chunks without end", chunked(b"5\r\nhello\r\n")),
    ("a last chunk without its empty line", chunked(b"5\r\nhello\r\n0\r\n")),
)
refuse(
    "trailers that would frame, route or authenticate (RFC 9110 6.5.1), and lines that are none",
    *(
        (f"trailer {name}", chunked(b"5\r\nhello\r\n0\r\n" + name.encode() + b": 5\r\n\r\n"))
        for name in ("Content-Length", "Transfer-Encoding", "Host", "Cookie", "Authorization", "Connection", "X-Forwarded-For",
                     "content_length", "Upgrade", "Expect", "TE", "Content-Type")
    ),
    ("a trailer with LF", chunked(b"0\r\nA: b\n\r\n")),
    ("a trailer with CR", chunked(b"0\r\nA: b\rC: d\r\n\r\n")),
    ("a trailer without colon", chunked(b"0\r\nA\r\n\r\n")),
    ("a folded trailer", chunked(b"0\r\nA: b\r\n c\r\n\r\n")),
    ("a trailer with a space before the colon", chunked(b"0\r\nA : b\r\n\r\n")),
    ("a request for trailers", chunked(b"0\r\nGET /x HTTP/1.1\r\nHost: t\r\n\r\n")),
    ("trailers of 9 kB", chunked(b"0\r\nA: " + b"a" * 9000 + b"\r\n\r\n")),
)
accept(
    "trailers that mean nothing to the frame",
    ("a trailer", chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), HELLO),
    ("a trailer, then a request", chunked(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n" + SECOND), HELLO, GET_SECOND),
    ("two trailers, announced", chunked(b"5\r\nhello\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n", b"Trailer: X-A"), HELLO),
)

# --- request lines ------------------------------------------------------------------------------------------------------

refuse(
    "a request line that can be split in two ways",
    ("two spaces", get(line=b"GET  /first HTTP/1.1")),
    ("two spaces before the version", get(line=b"GET /first  HTTP/1.1")),
    ("a space behind the version", get(line=b"GET /first HTTP/1.1 ")),
    ("a space before the method", get(line=b" GET /first HTTP/1.1")),
    ("a space in the target", get(line=b"GET /first x HTTP/1.1")),
    ("a version in the target", get(line=b"GET /first HTTP/1.1 HTTP/1.1")),
    ("a tab for a space", get(line=b"GET\t/first HTTP/1.1")),
    ("a vertical tab for a space", get(line=b"GET\x0b/first HTTP/1.1")),
    ("no target", get(line=b"GET HTTP/1.1")),
    ("a method alone", get(line=b"GET")),
    ("a method in small letters", get(line=b"get /first HTTP/1.1")),
    ("a method that is no token", get(line=b"G(T /first HTTP/1.1")),
    ("no method", get(line=b"/first HTTP/1.1")),
    ("a fragment", get(line=b"GET /first#x HTTP/1.1")),
    ("a backslash", get(line=b"GET \\first HTTP/1.1")),
    ("a byte above 0x7f in the target", get(line=b"GET /\xc3\xa9 HTTP/1.1")),
    ("quotes in the target", get(line=b'GET /"first" HTTP/1.1')),
    ("a relative target", get(line=b"GET first HTTP/1.1")),
    ("an empty authority", get(line=b"GET http:///first HTTP/1.1")),
    ("a target with a user", get(line=b"GET http://u@t/first HTTP/1.1")),
    ("an ftp target", get(line=b"GET ftp://t/first HTTP/1.1")),
    ("an authority for a target", get(line=b"GET t:80 HTTP/1.1")),
    ("* for GET", get(line=b"GET * HTTP/1.1")),
)
refuse(
    "CONNECT makes a tunnel and TRACE tells cookies: neither is passed on",
    ("CONNECT", head(b"CONNECT t:80 HTTP/1.1", host=b"Host: t:80")),
    ("CONNECT with a body", head(b"CONNECT t:80 HTTP/1.1", LENGTH, host=b"Host: t:80") + b"hello"),
    ("TRACE", get(line=b"TRACE /first HTTP/1.1")),
    ("CONNECT for a path", get(line=b"CONNECT /first HTTP/1.1")),
    statuses=(400, 405, 501),
)
accept(
    "targets as they may be",
    ("a query", get(line=b"GET /first?a=/../%00&b=http://x HTTP/1.1"), ("GET", "/first?a=/../%00&b=http://x", b"")),
    ("an absolute target", get(line=b"GET http://t/first HTTP/1.1"), GET_FIRST),
    ("an absolute target in capitals", get(line=b"GET HTTP://t/first HTTP/1.1"), GET_FIRST),
    ("a path that is a URL", get(line=b"GET /http://u/ HTTP/1.1"), ("GET", "/http://u/", b"")),
    ("an unknown method", get(line=b"PURGE-IT /first HTTP/1.1"), ("PURGE-IT", "/first", b"")),
    ("a path of two slashes", get(line=b"GET //first HTTP/1.1"), ("GET", "//first", b"")),
    ("a semicolon", get(line=b"GET /first;a=b HTTP/1.1"), ("GET", "/first;a=b", b"")),
)
accept(
    "right, and more than nginx takes",
    ("OPTIONS *", head(b"OPTIONS * HTTP/1.1"), ("OPTIONS", "*", b"")),
    ("NUL in escapes", get(line=b"GET /%00 HTTP/1.1"), ("GET", "/%00", b"")),
    ("a path out of the root", get(line=b"GET /../../x HTTP/1.1"), ("GET", "/../../x", b"")),
    nginx_refuses=True,
)

# --- who is asked -------------------------------------------------------------------------------------------------------

refuse(
    "two answers to: which host?",
    ("no Host", get(host=None)),
    ("two Hosts", get(b"Host: u")),
    ("two Hosts that agree", get(b"Host: t")),
    ("two Hosts in two cases of letters", get(b"HOST: u")),
    ("an empty Host", get(host=b"Host:")),
    ("a Host of spaces", get(host=b"Host:   ")),
    ("a list of Hosts", get(host=b"Host: t, u")),
    ("a Host with a user", get(host=b"Host: u@t")),
    ("a Host with a path", get(host=b"Host: t/first")),
    ("a Host with a scheme", get(host=b"Host: http://t")),
    ("a Host with a query", get(host=b"Host: t?x")),
    ("a Host with a fragment", get(host=b"Host: t#x")),
    ("a Host with a space", get(host=b"Host: t u")),
    ("a Host with two ports", get(host=b"Host: t:80:81")),
    ("a Host whose port is no number", get(host=b"Host: t:x")),
    ("a Host that is a backslash", get(host=b"Host: t\\u")),
    ("a Host and another target", get(line=b"GET http://u/first HTTP/1.1")),
    ("a Host and a target with a port", get(line=b"GET http://t:81/first HTTP/1.1")),
    ("no Host beside an absolute target", get(line=b"GET http://t/first HTTP/1.1", host=None)),
)
accept(
    "hosts as they may be",
    ("a Host with a port", get(host=b"Host: t:8080"), GET_FIRST),
    ("a Host in capitals", get(host=b"HOST: T"), GET_FIRST),
    ("an IPv6 Host", get(host=b"Host: [::1]:80"), GET_FIRST),
    ("X-Forwarded-Host is not Host", get(b"X-Forwarded-Host: u"), GET_FIRST),
)

# --- Connection ---------------------------------------------------------------------------------------------------------

refuse(
    "who obeys drops a field that the next one needs for the frame, the route or the right",
    *(
        (f"Connection: {name}", post(b"Connection: " + name.encode(), LENGTH, b"Cookie: a=b", body=b"hello"))
        for name in ("Content-Length", "content-length", "Transfer-Encoding", "Host", "Cookie", "Authorization", "X-Forwarded-For",
                     "close, Content-Length", "Expect")
    ),
    ("Connection: transfer-encoding with chunks", chunked(HELLO_CHUNKS, b"Connection: transfer-encoding")),
    ("Connection that is no list of tokens", get(b'Connection: "close"')),
    ("Connection with an equals sign and spaces", get(b"Connection: keep alive")),
    ("Connection with 40 options", get(b"Connection: " + b", ".join(b"x%d" % i for i in range(40)))),
)
accept(
    "options that end here",
    ("Connection: close, then a request", get(b"Connection: close") + SECOND, GET_FIRST),
    ("Connection: CLOSE, then a request", get(b"Connection: CLOSE") + SECOND, GET_FIRST),
    ("Connection: keep-alive, close, then a request", get(b"Connection: keep-alive, close") + SECOND, GET_FIRST),
    ("close on the second line, then a request", get(b"Connection: keep-alive", b"Connection: close") + SECOND, GET_FIRST),
    ("Connection: close with a body", post(b"Connection: close", LENGTH, body=b"hello" + SECOND), HELLO),
    ("Connection: X-Mine", get(b"Connection: X-Mine", b"X-Mine: 1") + SECOND, GET_FIRST, GET_SECOND),
    ("Proxy-Connection: close means nothing", get(b"Proxy-Connection: close") + SECOND, GET_FIRST, GET_SECOND),
    ("Keep-Alive", get(b"Keep-Alive: timeout=5, max=1") + SECOND, GET_FIRST, GET_SECOND),
)

# --- versions -----------------------------------------------------------------------------------------------------------

refuse(
    "a version that we do not speak, or none",
    ("HTTP/0.9 without a version", b"GET /first\r\n"),
    ("HTTP/0.9 with fields", get(line=b"GET /first")),
    ("HTTP/0.9", get(line=b"GET /first HTTP/0.9")),
    ("HTTP/1.2", get(line=b"GET /first HTTP/1.2")),
    ("HTTP/1.10", get(line=b"GET /first HTTP/1.10")),
    ("HTTP/2.0", get(line=b"GET /first HTTP/2.0")),
    ("HTTP/11", get(line=b"GET /first HTTP/11")),
    ("HTTP/1", get(line=b"GET /first HTTP/1")),
    ("HTTP/1.1.", get(line=b"GET /first HTTP/1.1.")),
    ("http/1.1", get(line=b"GET /first http/1.1")),
    ("HTTPS/1.1", get(line=b"GET /first HTTPS/1.1")),
    ("ICY/1.1", get(line=b"GET /first ICY/1.1")),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100),
    ("chunks in HTTP/1.0", head(b"POST /first HTTP/1.0", CHUNKED) + HELLO_CHUNKS),
    ("chunks and keep-alive in HTTP/1.0", head(b"POST /first HTTP/1.0", CHUNKED, b"Connection: keep-alive") + HELLO_CHUNKS),
    ("chunks and a length in HTTP/1.0", head(b"POST /first HTTP/1.0", LENGTH, CHUNKED) + HELLO_CHUNKS),
    statuses=(400, 505),
)
accept(
    "HTTP/1.0: one request, or several if it says keep-alive",
    ("1.0, then a request", head(b"GET /first HTTP/1.0") + SECOND, GET_FIRST),
    ("1.0 without Host", head(b"GET /first HTTP/1.0", host=None), GET_FIRST),
    ("1.0 with keep-alive, then a request", head(b"GET /first HTTP/1.0", b"Connection: keep-alive") + SECOND, GET_FIRST, GET_SECOND),
    ("1.0 with a body", head(b"POST /first HTTP/1.0", LENGTH) + b"hello" + SECOND, HELLO),
    ("1.0 with keep-alive and a body", head(b"POST /first HTTP/1.0", LENGTH, b"Connection: keep-alive") + b"hello" + SECOND, HELLO, GET_SECOND),
    ("1.0 with Upgrade, which it does not have", head(b"GET /first HTTP/1.0", b"Connection: upgrade", b"Upgrade: websocket") + SECOND, GET_FIRST),
)

# --- Expect -------------------------------------------------------------------------------------------------------------

refuse(
    "an expectation that only some know: who waits and who reads on cut differently",
    *(
        (f"Expect: {value.decode()!r}", post(b"Expect: " + value, LENGTH, body=b"hello"))
        for value in (b"100-continue, x", b"x 100-continue", b"100-continue 100-continue", b"100", b"200-ok", b"100-continue;q=1", b"y", b"")
    ),
    ("Expect twice", post(b"Expect: 100-continue", b"Expect: x", LENGTH, body=b"hello")),
    ("Expect twice the same", post(b"Expect: 100-continue", b"Expect: 100-continue", LENGTH, body=b"hello")),
    statuses=(400, 417),
)
accept(
    "the one expectation there is",
    ("Expect, and the body at once", post(b"Expect: 100-continue", LENGTH, body=b"hello"), HELLO),
    ("Expect in capitals", post(b"Expect: 100-CONTINUE", LENGTH, body=b"hello"), HELLO),
    ("Expect without a body", get(b"Expect: 100-continue"), GET_FIRST),
    ("Expect with chunks", chunked(HELLO_CHUNKS, b"Expect: 100-continue"), HELLO),
    ("Expect in HTTP/1.0", head(b"POST /first HTTP/1.0", b"Expect: 100-continue", LENGTH) + b"hello", HELLO),
)

# --- Upgrade ------------------------------------------------------------------------------------------------------------

WEBSOCKET = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
accept(
    "an upgrade that the server does not grant: what stands behind is a request, judged as any",
    ("WebSocket, then a request", get(*WEBSOCKET) + SECOND, GET_FIRST, GET_SECOND),
    ("WebSocket of a wrong version, then a request", get(*WEBSOCKET[:2], b"Sec-WebSocket-Version: 777") + SECOND, GET_FIRST, GET_SECOND),
    ("h2c, then a request", get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__") + SECOND, GET_FIRST, GET_SECOND),
    ("h2c, hidden in a list", get(b"Connection: Upgrade", b"Upgrade: websocket, h2c") + SECOND, GET_FIRST, GET_SECOND),
    ("h2c on the second line", get(b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: h2c") + SECOND, GET_FIRST, GET_SECOND),
    ("Upgrade with a body", post(b"Connection: Upgrade", b"Upgrade: websocket", LENGTH, body=b"hello") + SECOND, HELLO, GET_SECOND),
    ("Upgrade with chunks", chunked(HELLO_CHUNKS + SECOND, b"Connection: Upgrade", b"Upgrade: x"), HELLO, GET_SECOND),
    ("Upgrade that Connection does not name", get(b"Upgrade: websocket") + SECOND, GET_FIRST, GET_SECOND),
    ("Upgrade to TLS", get(b"Connection: Upgrade", b"Upgrade: TLS/1.0") + SECOND, GET_FIRST, GET_SECOND),
    ("POST upgrade without a body", post(b"Connection: Upgrade", b"Upgrade: x", b"Content-Length: 0") + SECOND, EMPTY_POST, GET_SECOND),
)

# --- too much -----------------------------------------------------------------------------------------------------------

refuse("a head that does not fit", ("a target of 9 kB", get(line=b"GET /" + b"a" * 9000 + b" HTTP/1.1")), statuses=(414,))
refuse(
    "a head that does not fit",
    ("a field of 17 kB", get(b"X: " + b"a" * 17000)),
    ("200 fields", get(*(b"X%d: a" % i for i in range(200)))),
    ("a name of 17 kB", get(b"X" * 17000 + b": a")),
    statuses=(431,),
)

# --- many ---------------------------------------------------------------------------------------------------------------

accept(
    "one behind the other",
    ("two GETs", get() + SECOND, GET_FIRST, GET_SECOND),
    ("ten GETs", get() * 10, *[GET_FIRST] * 10),
    ("POST, GET, POST", post(LENGTH, body=b"hello") + SECOND + chunked(HELLO_CHUNKS), HELLO, GET_SECOND, HELLO),
    ("HEAD, GET", get(line=b"HEAD /first HTTP/1.1") + SECOND, ("HEAD", "/first", b""), GET_SECOND),
    ("a body of 100 kB, then a request", post(b"Content-Length: 100000", body=b"x" * 100000) + SECOND, ("POST", "/first", b"x" * 100000), GET_SECOND),
    ("half a request behind a whole one", get() + SECOND[:20], GET_FIRST),
)

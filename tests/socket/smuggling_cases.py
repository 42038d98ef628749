"""Requests that two programs on one path could cut differently, as bytes. The table of smuggling_test.py.

A Case says what has to come of it: `seen`, the requests (method, target, body) that a server sees, no more and no fewer; or
`refused`, the statuses with which we may refuse, and then no server sees a request. Behind every case that is refused the test
sends SMUGGLED: whoever serves it has taken a part of the case for a whole request.
"""

import dataclasses

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"


@dataclasses.dataclass
class Case:
    name: str
    data: bytes
    why: str
    seen: tuple = None
    refused: tuple = None
    nginx_refuses: bool = False  # it is stricter than needed here, answers 400 and closes: nothing can be smuggled past it


def head(line, *fields, host=b"Host: t"):
    return b"\r\n".join([line, *([host] if host else []), *fields, b"", b""])


def get(*fields, line=b"GET /first HTTP/1.1", host=b"Host: t"):
    return head(line, *fields, host=host)


def post(*fields, body=b"", line=b"POST /first HTTP/1.1", host=b"Host: t"):
    return head(line, *fields, host=host) + body


def chunked(body, *fields):
    return post(b"Transfer-Encoding: chunked", *fields, body=body)


GET_FIRST = ("GET", "/first", b"")
HELLO = ("POST", "/first", b"hello")
EMPTY_POST = ("POST", "/first", b"")
SECOND = get(line=b"GET /second HTTP/1.1")
GET_SECOND = ("GET", "/second", b"")
LENGTH, CHUNKED = b"Content-Length: 5", b"Transfer-Encoding: chunked"
HELLO_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
NO_CHUNKS = b"0\r\n\r\n"

CASES = []


def refuse(why, *rows, statuses=(400,)):
    for name, data in rows:
        CASES.append(Case(name, data, why, refused=statuses))


def accept(why, *rows, nginx_refuses=False):
    for name, data, *seen in rows:
        CASES.append(Case(name, data, why, seen=tuple(seen), nginx_refuses=nginx_refuses))


# --- Content-Length -----------------------------------------------------------------------------------------------------

refuse(
    "a length that parsers of numbers read in different ways (strtol, list rules, sign, octal, overflow)",
    *(
        (f"length {value!r}", post(b"Content-Length: " + value, body=b"hello"))
        for value in (
            b"+5", b"-5", b"0x5", b"5.0", b"5e0", b"05", b"005", b"5 5", b"5, 5", b"5,5", b"5,6", b"5;", b"5 ;a=b", b"'5'", b'"5"',
            b"five", b"", b"5\x0b", b"5\x0c", b"\x0b5", b"5\xa0", b"\xa05", b"5_", b"1_0", b"5h",
            b"18446744073709551621", b"9223372036854775808", b"99999999999999999999999", b"00000000000000000005",
        )
    ),
)
refuse(
    "two lengths: one parser takes the first, another the last (RFC 9112 6.3 allows equal ones; no sender makes them)",
    ("lengths 5 and 6", post(LENGTH, b"Content-Length: 6", body=b"hello")),
    ("lengths 6 and 5", post(b"Content-Length: 6", LENGTH, body=b"hello")),
    ("lengths 5 and 0", post(LENGTH, b"Content-Length: 0", body=b"hello")),
    ("lengths 0 and 5", post(b"Content-Length: 0", LENGTH, body=b"hello")),
    ("lengths 5 and 5", post(LENGTH, LENGTH, body=b"hello")),
    ("lengths in two cases of letters", post(LENGTH, b"CONTENT-LENGTH: 6", body=b"hello")),
    ("two lengths with a field between", post(LENGTH, b"X: y", b"content-length: 0", body=b"hello")),
)
accept(
    "a length as senders write it",
    ("length 5", post(LENGTH, body=b"hello"), HELLO),
    ("length 5 in small letters", post(b"content-length:5", body=b"hello"), HELLO),
    ("length 5 between spaces", post(b"Content-Length: \t 5 \t ", body=b"hello"), HELLO),
    ("length 0", post(b"Content-Length: 0"), EMPTY_POST),
    ("no length at all", post(), EMPTY_POST),
    ("length 0, then a request", post(b"Content-Length: 0", body=SECOND), EMPTY_POST, GET_SECOND),
    ("no length, then a request", post(body=SECOND), EMPTY_POST, GET_SECOND),
    ("GET with a body", get(LENGTH) + b"hello", ("GET", "/first", b"hello")),
    ("GET whose body is a request", get(b"Content-Length: %d" % len(SECOND)) + SECOND, ("GET", "/first", SECOND)),
    ("POST whose body is a request", post(b"Content-Length: %d" % len(SECOND), body=SECOND), ("POST", "/first", SECOND)),
    ("HEAD with a body", get(LENGTH, line=b"HEAD /first HTTP/1.1") + b"hello", ("HEAD", "/first", b"hello")),
    ("DELETE with a body", get(LENGTH, line=b"DELETE /first HTTP/1.1") + b"hello", ("DELETE", "/first", b"hello")),
    ("OPTIONS with a body", get(LENGTH, line=b"OPTIONS /first HTTP/1.1") + b"hello", ("OPTIONS", "/first", b"hello")),
    ("a body that looks like chunks", post(LENGTH, body=b"0\r\n\r\n"), ("POST", "/first", b"0\r\n\r\n")),
)
accept(
    "the body is never whole, so no server may have a whole request",
    ("length 6, five bytes", post(b"Content-Length: 6", body=b"hello")),
    ("length 4 GiB and 5", post(b"Content-Length: 4294967301", body=b"hello" + SECOND)),
    ("length 2^59, then a request", post(b"Content-Length: 576460752303423488", body=SECOND)),
)

# --- Transfer-Encoding --------------------------------------------------------------------------------------------------

refuse(
    "a coding that one parser takes for chunked, another for none",
    *(
        (f"coding {value!r}", post(b"Transfer-Encoding: " + value, body=HELLO_CHUNKS))
        for value in (
            b"identity", b"identity, chunked", b"chunked, identity", b"chunked, chunked", b"chunked,chunked", b"gzip", b"gzip, chunked",
            b"chunked, gzip", b"xchunked", b"chunkedx", b"chunked x", b"x chunked", b'"chunked"', b"'chunked'", b"chunked;q=1",
            b"chunked; a=b", b"chunked;", b"chunked,", b",chunked", b", chunked", b"chunked ,", b",", b"", b"\x0bchunked", b"chunked\x0b",
            b"\x0cchunked", b"chunked\x00", b"\x00chunked", b"\xa0chunked", b"chunked\xa0", b"chu nked", b"chunke", b"CHUNKED, identity",
            b"cow", b"trailers", b"chunked\xc4\xb1", b"c\xc4\xb1hunked", b"deflate", b"br, chunked", b"=chunked", b"chunked=1",
        )
    ),
    statuses=(400, 501),
)
refuse(
    "Transfer-Encoding twice",
    ("chunked on two lines", post(CHUNKED, CHUNKED, body=HELLO_CHUNKS)),
    ("identity, then chunked", post(b"Transfer-Encoding: identity", CHUNKED, body=HELLO_CHUNKS)),
    ("chunked, then identity", post(CHUNKED, b"Transfer-Encoding: identity", body=HELLO_CHUNKS)),
    ("chunked, then nothing", post(CHUNKED, b"Transfer-Encoding:", body=HELLO_CHUNKS)),
    ("chunked in two cases of letters", post(CHUNKED, b"transfer-ENCODING: chunked", body=HELLO_CHUNKS)),
    ("chunked, then cow", post(CHUNKED, b"Transfer-encoding: cow", body=HELLO_CHUNKS)),
    statuses=(400, 501),
)
accept(
    "chunked as senders write it",
    ("chunked", chunked(HELLO_CHUNKS), HELLO),
    ("chunked in capitals", post(b"TRANSFER-ENCODING:CHUNKED", body=HELLO_CHUNKS), HELLO),
    ("chunked between spaces", post(b"Transfer-Encoding:  \t chunked \t", body=HELLO_CHUNKS), HELLO),
    ("no chunks", chunked(NO_CHUNKS), EMPTY_POST),
    ("chunked, then a request", chunked(HELLO_CHUNKS + SECOND), HELLO, GET_SECOND),
    ("chunks that are a request", chunked(b"%x\r\n" % len(SECOND) + SECOND + b"\r\n0\r\n\r\n"), ("POST", "/first", SECOND)),
    ("GET with chunks", get(CHUNKED) + HELLO_CHUNKS, ("GET", "/first", b"hello")),
    ("HEAD with chunks", get(CHUNKED, line=b"HEAD /first HTTP/1.1") + HELLO_CHUNKS, ("HEAD", "/first", b"hello")),
    ("two chunked requests", chunked(HELLO_CHUNKS) + chunked(b"1\r\n!\r\n0\r\n\r\n"), HELLO, ("POST", "/first", b"!")),
    ("TE is not Transfer-Encoding", get(b"TE: chunked"), GET_FIRST),
    ("Content-Encoding is not Transfer-Encoding", post(b"Content-Encoding: chunked", LENGTH, body=b"hello"), HELLO),
)

# --- both ---------------------------------------------------------------------------------------------------------------

refuse(
    "length and chunked: CL.TE and TE.CL, the classic",
    ("CL.TE", post(b"Content-Length: 6", CHUNKED, body=b"0\r\n\r\nG")),
    ("TE.CL", post(CHUNKED, b"Content-Length: 3", body=b"8\r\nSMUGGLED\r\n0\r\n\r\n")),
    ("length 0 and chunked", post(b"Content-Length: 0", CHUNKED, body=HELLO_CHUNKS)),
    ("chunked and length 0", post(CHUNKED, b"Content-Length: 0", body=HELLO_CHUNKS)),
    ("length and identity", post(LENGTH, b"Transfer-Encoding: identity", body=b"hello")),
    ("identity and length", post(b"Transfer-Encoding: identity", LENGTH, body=b"hello")),
    ("length and an empty coding", post(LENGTH, b"Transfer-Encoding:", body=b"hello")),
    ("length and xchunked", post(LENGTH, b"Transfer-Encoding: xchunked", body=b"hello")),
    ("length, then a field, then chunked", post(LENGTH, b"X: y", CHUNKED, body=HELLO_CHUNKS)),
    ("GET with both", get(LENGTH, CHUNKED) + HELLO_CHUNKS),
    statuses=(400, 501),
)
refuse(
    "a hidden one of the two beside the other: who sees it cuts elsewhere",
    ("TE with a space before the colon, and a length", post(b"Transfer-Encoding : chunked", LENGTH, body=b"0\r\n\r\n")),
    ("TE with a tab before the colon, and a length", post(b"Transfer-Encoding\t: chunked", LENGTH, body=b"0\r\n\r\n")),
    ("TE behind a bare LF, and a length", post(b"X: y\nTransfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n")),
    ("TE behind a bare CR, and a length", post(b"X: y\rTransfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n")),
    ("TE behind NUL, and a length", post(b"X: y\x00Transfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n")),
    ("TE in a folded line, and a length", post(b"X: y", b" Transfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n")),
    ("TE whose value is folded, and a length", post(b"Transfer-Encoding:", b" chunked", LENGTH, body=b"0\r\n\r\n")),
    ("TE_ with an underscore, and a length", post(b"Transfer_Encoding: chunked", LENGTH, body=b"0\r\n\r\n")),
    ("TE behind a leading space, and a length", post(b" Transfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n")),
    ("TE with a byte above 0x7f, and a length", post(b"Transfer-Encoding\xa0: chunked", LENGTH, body=b"0\r\n\r\n")),
    ("TE with a vertical tab in the name, and a length", post(b"\x0bTransfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n")),
    ("a length with a space before the colon, and chunks", post(CHUNKED, b"Content-Length : 5", body=HELLO_CHUNKS)),
    ("a length with an underscore, and chunks", post(CHUNKED, b"Content_Length: 5", body=HELLO_CHUNKS)),
    ("a length behind a bare LF, and chunks", post(CHUNKED, b"X: y\nContent-Length: 5", body=HELLO_CHUNKS)),
    ("TE in the value of another field, folded", post(b"Foo: bar", b"\tTransfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n")),
    ("a quoted colon", post(b'"Transfer-Encoding": chunked', LENGTH, body=b"0\r\n\r\n")),
)
accept(
    "names that only resemble them mean nothing to anybody",
    ("X-Transfer-Encoding and a length", post(b"X-Transfer-Encoding: chunked", LENGTH, body=b"hello"), HELLO),
    ("TransferEncoding and a length", post(b"TransferEncoding: chunked", LENGTH, body=b"hello"), HELLO),
    ("Transfer-Encoding2 and a length", post(b"Transfer-Encoding2: chunked", LENGTH, body=b"hello"), HELLO),
    ("Content-Length2 and chunks", post(b"Content-Length2: 3", CHUNKED, body=HELLO_CHUNKS), HELLO),
    ("a field whose value is a head", post(b"X: Transfer-Encoding: chunked", LENGTH, body=b"hello"), HELLO),
)

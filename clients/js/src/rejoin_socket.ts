// The shape of the standard WebSocket, over a session: an application changes one word.
import { world } from "./environment";
import { PROTOCOL } from "./frame";
import { assume, bytesOf, checkClose, checkSize, failure, RejoinSession } from "./rejoin_session";
import type { Bytes, EndDetail, SocketOptions } from "./types";

const QUEUE_BYTES_MAX = 16 * 1024 * 1024;
/** For what send() took before close(), where there is no link. */
const FLUSH_MS = 10_000;

const enum Ready {
  connecting,
  open,
  closing,
  closed,
}
interface Waiting {
  size: number;
  /** Null: a Blob that is still being read. */
  data: Bytes | null;
}

/** Node 20 has no CloseEvent. */
const closeEvent = (detail: EndDetail): Event =>
  world.CloseEvent ? new CloseEvent("close", detail) : Object.assign(new Event("close"), detail);

/**
 * The standard WebSocket's shape, over a session. `open` at the login (or when a page that was loaded again has its session
 * back), `close` when the session has ended; what happens to links in between is told by `session`.
 *
 *     const socket = new RejoinSocket("wss://play.example/game");
 */
export class RejoinSocket extends EventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;
  binaryType: BinaryType = "blob";
  onopen: ((this: any, event: Event) => any) | null = null;
  onmessage: ((this: any, event: MessageEvent) => any) | null = null;
  onclose: ((this: any, event: CloseEvent) => any) | null = null;
  onerror: ((this: any, event: Event) => any) | null = null;

  /**
   * Throws like RejoinSession. Sub-protocols of the application are not negotiated through a gateway: a list that is not empty
   * throws a SyntaxError.
   */
  constructor(url: string | URL, protocols: string | string[] | SocketOptions = [], options: SocketOptions = {}) {
    super();
    const { length } = protocols as string;
    if (length) throw failure("SyntaxError", "no sub-protocols: " + protocols);
    assume(this, shape(this, url, length === 0 ? options : (protocols as SocketOptions)));
  }
}

export interface RejoinSocket {
  /** What is beneath: states, figures, resumes. */
  readonly session: RejoinSession;
  readonly url: string;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly protocol: string;
  readonly extensions: string;
  /** Taken by send(), and not yet written to a link; with no live link: not yet acknowledged. */
  readonly bufferedAmount: number;

  /**
   * As in the standard: queues what has no room yet. Above `queueBytesMax` the socket closes with 4413; a message above the
   * gateway's window throws a RangeError.
   */
  send(data: Bytes | Blob): void;
  /** Ends the session behind all that was sent. */
  close(code?: number, reason?: string): void;

  addEventListener<K extends keyof WebSocketEventMap>(
    type: K,
    listener: (this: RejoinSocket, event: WebSocketEventMap[K]) => any,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof WebSocketEventMap>(
    type: K,
    listener: (this: RejoinSocket, event: WebSocketEventMap[K]) => any,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

/** The members of `socket`, and what they do. */
function shape(socket: RejoinSocket, url: string | URL, options: SocketOptions) {
  let ready = Ready.connecting;
  let queue: Waiting[] = [];
  let queueBytes = 0;
  let closing: [number, string] | undefined;
  let lateClose: ReturnType<typeof setTimeout> | undefined;
  const session = new RejoinSession(url, {
    ...options,
    // A plain application logs in by itself, when it hears `close`.
    loginAgain: false,
  } as SocketOptions);

  function emptyQueue(): void {
    queueBytes = 0;
    queue = [];
  }
  function flush(): void {
    for (let first; ready < Ready.closed && (first = queue[0]); queueBytes -= queue.shift()!.size) {
      if (first.data === null || !session.send(first.data)) return;
    }
    if (closing) session.close(...closing);
  }
  function opened(): void {
    if (!ready) {
      ready = Ready.open;
      socket.dispatchEvent(new Event("open"));
    }
    flush();
  }
  session.addEventListener("opened", opened);
  session.addEventListener("resumed", opened);
  session.addEventListener("writable", flush);
  session.addEventListener("message", ({ data }) => {
    if (ready > Ready.open) return;
    const given = typeof data === "string" ? data : socket.binaryType === "blob" ? new Blob([data as any]) : data.slice().buffer;
    socket.dispatchEvent(new MessageEvent("message", { data: given, origin: new URL(session.url).origin }));
  });
  session.addEventListener("ended", ({ detail }) => {
    clearTimeout(lateClose);  // it would keep Node alive
    ready = Ready.closed;
    emptyQueue();
    if (!detail.wasClean) socket.dispatchEvent(new Event("error"));
    socket.dispatchEvent(closeEvent({ ...detail, code: detail.code || 1006 }));
  });

  const self = {
    session,
    url: session.url,
    extensions: "",
    get readyState() {
      return ready;
    },
    get protocol() {
      return ready ? PROTOCOL : "";
    },
    get bufferedAmount() {
      return queueBytes + session.bufferedAmount;
    },
    send(data: Bytes | Blob): void {
      if (!ready) throw failure("InvalidStateError", "send() before open");
      const blob = world.Blob && data instanceof Blob ? data : null;
      const bytes = blob ? null : bytesOf(data);
      const size = bytes ? bytes.length : blob!.size;
      checkSize(session, size);
      if (ready > Ready.open) return;
      if (!blob && !queue.length && session.send(data as Bytes)) return;
      if (queueBytes + size > (options.queueBytesMax ?? QUEUE_BYTES_MAX)) {
        emptyQueue();
        ready = Ready.closing;
        socket.dispatchEvent(new Event("error"));
        return session.close(4413, "queue full");
      }
      // The application may use its buffer again.
      const waiting: Waiting = { size, data: typeof data === "string" ? data : bytes && bytes.slice() };
      queue.push(waiting);
      queueBytes += size;
      const read = (bytes: ArrayBuffer) => {
        waiting.data = bytes;
        flush();
      };
      blob?.arrayBuffer().then(read, () => read(new ArrayBuffer(0)));
    },
    close(code = 1000, reason = ""): void {
      checkClose(code, reason);
      if (ready > Ready.open) return;
      closing = [code, reason];
      // Behind what was sent before, where that can be.
      if (queue.length) lateClose = setTimeout(() => session.close(code, reason), FLUSH_MS);
      ready = Ready.closing;
      flush();
    },
  };
  for (const type of ["open", "message", "close", "error"]) {
    socket.addEventListener(type, (event) => (socket as any)["on" + type]?.(event));
  }
  return self;
}

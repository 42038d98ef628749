// @rejoin/client: a connection to a game that survives broken links. Messages arrive once and in order, both ways, over any
// number of links.
//
// This file is the promise that the package keeps. (Until the classes are there, it declares them.)
import type { Figures, SessionEventMap, SessionOptions, SessionState, SocketOptions } from "./types";

export * from "./types";

/** A session of rejoin.v1 and everything that keeps it alive. Begins to dial after the present turn: add listeners first. */
export declare class RejoinSession extends EventTarget {
  /** Throws a SyntaxError for an URL that is not ws, wss, http or https, or has a fragment. Relative ones are to the page. */
  constructor(url: string | URL, options?: SessionOptions);

  readonly url: string;
  readonly state: SessionState;
  /** A copy, taken now. */
  readonly figures: Figures;
  /** Taken by send(), and not yet written to a link; with no live link: not yet acknowledged. */
  readonly bufferedAmount: number;

  /**
   * Takes a copy. False: no room now (the window is full, or there is no session yet): not taken, and `writable` tells when it
   * would be. Throws a RangeError for a message above the gateway's window, an InvalidStateError after close() or the end.
   */
  send(data: string | ArrayBuffer | ArrayBufferView): boolean;
  /** Ends the session behind all that was sent; `ended` follows, at the latest after 10 s. Code: 1000 or 3000 to 4999. */
  close(code?: number, reason?: string): void;
  /** Drops the link and ends no session: who has its keeper (a next RejoinSession, say) goes on with it. No event follows. */
  leave(): void;
  /** A hint of the application's own that the path may have changed. */
  networkChanged(): void;
  /** Sends a PING on the live link; `pong` tells of its round trip. */
  ping(): void;

  addEventListener<K extends keyof SessionEventMap>(
    type: K,
    listener: (this: RejoinSession, event: SessionEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
}

/**
 * The standard WebSocket's shape, over a session. `open` at the login (or when a page that was loaded again has its session
 * back), `close` when the session has ended; what happens to links in between is told by `session`.
 *
 *     const socket = new RejoinSocket("wss://play.example/game");
 */
export declare class RejoinSocket extends EventTarget {
  static readonly CONNECTING: 0;
  static readonly OPEN: 1;
  static readonly CLOSING: 2;
  static readonly CLOSED: 3;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;
  /** Sub-protocols of the application are not negotiated through a gateway: a list that is not empty throws a SyntaxError. */
  constructor(url: string | URL, protocols?: string | string[] | SocketOptions, options?: SocketOptions);

  /** What is beneath: states, figures, resumes. */
  readonly session: RejoinSession;
  readonly url: string;
  readonly readyState: 0 | 1 | 2 | 3;
  readonly protocol: string;
  readonly extensions: string;
  binaryType: BinaryType;
  readonly bufferedAmount: number;
  onopen: ((this: RejoinSocket, event: Event) => void) | null;
  onmessage: ((this: RejoinSocket, event: MessageEvent) => void) | null;
  onclose: ((this: RejoinSocket, event: CloseEvent) => void) | null;
  onerror: ((this: RejoinSocket, event: Event) => void) | null;

  send(data: string | ArrayBuffer | ArrayBufferView | Blob): void;
  close(code?: number, reason?: string): void;
}

import { RejoinSession } from "./rejoin_session";
import type { Bytes, SocketOptions } from "./types";
/**
 * The standard WebSocket's shape, over a session. `open` at the login (or when a page that was loaded again has its session
 * back), `close` when the session has ended; what happens to links in between is told by `session`.
 *
 *     const socket = new RejoinSocket("wss://play.example/game");
 */
export declare class RejoinSocket extends EventTarget {
    static readonly CONNECTING = 0;
    static readonly OPEN = 1;
    static readonly CLOSING = 2;
    static readonly CLOSED = 3;
    readonly CONNECTING = 0;
    readonly OPEN = 1;
    readonly CLOSING = 2;
    readonly CLOSED = 3;
    binaryType: BinaryType;
    onopen: ((this: RejoinSocket, event: Event) => any) | null;
    onmessage: ((this: RejoinSocket, event: MessageEvent) => any) | null;
    onclose: ((this: RejoinSocket, event: CloseEvent) => any) | null;
    onerror: ((this: RejoinSocket, event: Event) => any) | null;
    /**
     * Throws like RejoinSession. Sub-protocols of the application are not negotiated through a gateway: a list that is not empty
     * throws a SyntaxError.
     */
    constructor(url: string | URL, protocols?: string | string[] | SocketOptions, options?: SocketOptions);
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
    addEventListener<K extends keyof WebSocketEventMap>(type: K, listener: (this: RejoinSocket, event: WebSocketEventMap[K]) => any, options?: boolean | AddEventListenerOptions): void;
    addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
    removeEventListener<K extends keyof WebSocketEventMap>(type: K, listener: (this: RejoinSocket, event: WebSocketEventMap[K]) => any, options?: boolean | EventListenerOptions): void;
    removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

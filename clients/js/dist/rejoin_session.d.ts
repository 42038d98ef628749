import type { Bytes, Figures, SessionEventMap, SessionOptions, SessionState } from "./types";
export declare const failure: (name: string, why: string) => DOMException;
/** A message's bytes, whatever form it came in. Not a copy. */
export declare function bytesOf(data: unknown): Uint8Array;
/** Throws like the standard WebSocket's close(). */
export declare function checkClose(code: number, reason: string): void;
export declare function checkSize({ messageBytesMax }: {
    messageBytesMax: number;
}, bytes: number): void;
/** Gives an object its members. They are closures: what is private to them is so in the script, too, and small. */
export declare const assume: (target: object, members: object) => object;
/** A session of rejoin.v1 and everything that keeps it alive. Begins to dial after the present turn: add listeners first. */
export declare class RejoinSession extends EventTarget {
    /**
     * Throws a SyntaxError for an URL that is not ws, wss, http or https, or has a fragment (relative ones are to the page), and an
     * Error where the session is to be kept in sessionStorage and cannot be.
     */
    constructor(url: string | URL, options?: SessionOptions);
}
export interface RejoinSession {
    readonly url: string;
    readonly state: SessionState;
    /** A copy, taken now. */
    readonly figures: Figures;
    /** Taken by send(), and not yet written to a link; with no live link: not yet acknowledged. */
    readonly bufferedAmount: number;
    /** The largest message that the gateway takes; Infinity before it was told. */
    readonly messageBytesMax: number;
    /**
     * Takes a copy. False: no room now (the window is full, or there is no session yet): not taken, and `writable` tells when it
     * would be. Throws a RangeError above messageBytesMax, an InvalidStateError after close() or the end.
     */
    send(data: Bytes): boolean;
    /** Ends the session behind all that was sent; `ended` follows, at the latest after 13 s. Code: 1000 or 3000 to 4999. */
    close(code?: number, reason?: string): void;
    /** Drops the link and ends no session: who has its keeper (a next RejoinSession, say) goes on with it. `ended` does not follow. */
    leave(): void;
    /** A hint of the application's own that the path may have changed. */
    networkChanged(): void;
    /** Sends a PING on the live link; `pong` tells of its round trip. */
    ping(): void;
    addEventListener<K extends keyof SessionEventMap>(type: K, listener: (this: RejoinSession, event: SessionEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
    removeEventListener<K extends keyof SessionEventMap>(type: K, listener: (this: RejoinSession, event: SessionEventMap[K]) => void, options?: boolean | EventListenerOptions): void;
}

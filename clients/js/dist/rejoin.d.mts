/**
 * - `connecting`: there is no session yet: the first login, or the next one after a session was lost
 * - `live`: a link serves. A dial may be under way beside it
 * - `detached`: the session is kept and has no link; the next dial waits for its time
 * - `resuming`: the same, and a dial is under way
 * - `ended`: for good
 */
export type SessionState = "connecting" | "live" | "detached" | "resuming" | "ended";
/** Where a session is kept so that it outlives the page. What it holds is a right to take the session, as secret as a password. */
export interface Keeper {
    /** What was saved last (load and save may throw: then nothing is kept); null or undefined: nothing. Called at the start, and when the page comes back from the browser's cache. */
    load(): string | null | undefined | Promise<string | null | undefined>;
    /** Stored before it returns: what it says leaves right after. */
    save(text: string): void;
    /** There is nothing to keep any more. */
    clear(): void;
    /** This object is done with it: whoever loads what is there may take it at once. */
    release?(): void;
}
/** What is used of a WebSocket: the browser's, Node's, or that of the package `ws`. */
export interface SocketLike {
    binaryType: string;
    readonly readyState: number;
    readonly bufferedAmount: number;
    readonly protocol: string;
    onopen: ((event: any) => void) | null;
    onmessage: ((event: any) => void) | null;
    onclose: ((event: any) => void) | null;
    onerror: ((event: any) => void) | null;
    send(data: Uint8Array): void;
    close(code?: number, reason?: string): void;
}
/** The world, as far as a session touches it. Each can be replaced: by tests, or by a host that is no browser. */
export interface Environment {
    /** Begins a dial. May throw: then the dial has failed. */
    connect(url: string, protocols: string[]): SocketLike;
    /** Milliseconds of a clock that never goes back. */
    now(): number;
    /** Calls once after so many ms, or later; returns what cancels it. */
    setTimer(callback: () => void, ms: number): () => void;
    /** Uniform in [0, 1). */
    random(): number;
    /** Tells of hints that the path may have changed (network, visibility, freeze, back from the cache); returns what stops it. */
    watch(hint: (what: Hint) => void): () => void;
    /** Plants the ticket where the balancer sees it, for dials whose RESUME rides in no header. */
    tellTicket(url: string, ticket: string): void;
}
/**
 * - `changed`: something may have: the network, or the page was hidden or frozen. Asks the gateway; without an answer within
 *   2 s it dials beside the link
 * - `freezing`: the page is about to be stopped: what is owed leaves now
 * - `returned`: the page is back from the browser's cache. Another page of this tab may have gone on with the session
 */
export type Hint = "changed" | "freezing" | "returned";
/** Text, or bytes. */
export type Bytes = string | ArrayBuffer | ArrayBufferView;
export interface SessionOptions {
    /** Who this is: a token, say, that the gateway or the game server checks. For logins only; a function is asked at each. */
    identity?: Bytes | (() => Bytes);
    /** Bytes for the game server, for logins only. With identity at most 16,369 bytes. */
    application?: Bytes | (() => Bytes);
    /**
     * Keeps ticket, key and epoch, so that the session outlives the page. `"session"`: in this tab's sessionStorage (a reload
     * resumes; a duplicated tab gets a session of its own). Or a Keeper of yours. Nothing: the session ends with the page.
     */
    storage?: "session" | Keeper;
    /** The name of the entry in sessionStorage. At first the URL: two sessions of one page with one URL need two names. */
    storageKey?: string;
    /** May addresses be dialled that the gateway tells, past a balancer? At first no. */
    useAdvertisedAddresses?: boolean;
    /** The session is gone for good (`lost`): log in anew. At first yes. A session that was only loaded is always followed by a login. */
    loginAgain?: boolean;
    /** No link for so long: give up (`ended`, code 0). At first 0: never. */
    giveUpMs?: number;
    /** The constructor to dial with, where there is no global one (Node before 22: that of the package `ws`). */
    WebSocket?: new (url: string, protocols: string[]) => SocketLike;
    /** Parts of the world to replace. */
    environment?: Partial<Environment>;
}
export interface SocketOptions extends Omit<SessionOptions, "loginAgain"> {
    /** What send() takes at the most that the session has no room for; above, the socket closes with 4413. At first 16 MiB. */
    queueBytesMax?: number;
}
/** Of the session object's whole life; null: not measured yet. */
export interface Figures {
    /** Dials that were begun, and those of them that opened nothing. */
    dials: number;
    failedDials: number;
    /** Links that became live: logins + resumes. */
    links: number;
    logins: number;
    resumes: number;
    /** Messages. */
    sent: number;
    received: number;
    /** Ours that an older link had swallowed, sent again; the gateway's that it sent (again) on resumes. */
    replayedOut: number;
    replayedIn: number;
    /** Came twice on the wire, and were dropped. */
    duplicates: number;
    badFrames: number;
    /** Of the last PING that was answered. */
    roundTripMs: number | null;
    /** From the last break (or doubt) to the link that serves now. */
    resumeMs: number | null;
    /** Sent, and not accepted by the game yet. */
    unacknowledged: number;
}
export interface StateDetail {
    state: SessionState;
    previous: SessionState;
    /** Why, in words; "" where nothing went wrong. */
    reason: string;
}
export interface LinkDetail {
    /**
     * - `dialing`: begun
     * - `failed`: it opened nothing
     * - `opened`: it is the live link
     * - `closed`: it was the live link
     */
    what: "dialing" | "failed" | "opened" | "closed";
    /** Counts the dials of this object. */
    number: number;
    url: string;
    /** The number of the attempt at the session; 1 is the login. */
    epoch: number;
    /** failed, closed: of the gateway's DETACH or the WebSocket's close frame, or ours; 0: none. */
    code: number;
    /** closed, and "": a newer link serves. */
    reason: string;
}
export interface OpenedDetail {
    url: string;
    epoch: number;
    /** Dials that it took. */
    dials: number;
    /** Since the last link was lost or doubted; at first since the beginning. */
    tookMs: number;
    /** False: the session is kept, but messages are missing before the next one (the page was loaded again). */
    whole: boolean;
    /** Messages that the gateway has for us, and those of ours that the old link had swallowed. */
    toCome: number;
    sentAgain: number;
}
export interface EndDetail {
    /**
     * Of spec/resume.md, section 14: 1000 close(); 1001 the gateway goes; 4401 no such session (any more), or the identity was
     * refused; 4406 no protocol version in common; 4409 another tab or program goes on with this session; 4410 the game ended it;
     * 4411 the game server is gone; 4413 a limit. 0: ours, see reason.
     */
    code: number;
    reason: string;
    /** ended: both ends said so, or nothing was there to be said. */
    wasClean: boolean;
}
export interface SessionEventMap {
    state: CustomEvent<StateDetail>;
    link: CustomEvent<LinkDetail>;
    /** A new session. */
    opened: CustomEvent<OpenedDetail>;
    /** The session goes on, on a new link. */
    resumed: CustomEvent<OpenedDetail>;
    /** `data` is a string or a Uint8Array. The message counts as delivered when the handlers have returned. */
    message: MessageEvent<string | Uint8Array>;
    /** A send() that returned false would be taken now. */
    writable: Event;
    /** The keeper has stored the session: at a login, a new ticket, before each resume. */
    saved: CustomEvent<{
        epoch: number;
    }>;
    /** A PING was answered. */
    pong: CustomEvent<{
        ms: number;
    }>;
    /** The session is gone, with what was not delivered; a new login follows. */
    lost: CustomEvent<EndDetail>;
    /** For good. The last event. */
    ended: CustomEvent<EndDetail>;
}
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
    onopen: ((this: any, event: Event) => any) | null;
    onmessage: ((this: any, event: MessageEvent) => any) | null;
    onclose: ((this: any, event: CloseEvent) => any) | null;
    onerror: ((this: any, event: Event) => any) | null;
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

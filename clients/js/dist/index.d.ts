export * from "./types";
export { RejoinSession } from "./rejoin_session";
export { RejoinSocket } from "./rejoin_socket";

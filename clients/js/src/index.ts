// @rejoin/client: a connection to a game that survives broken links. Messages arrive once and in order, both ways, over any
// number of links.
export * from "./types";
export { RejoinSession } from "./rejoin_session";
export { RejoinSocket } from "./rejoin_socket";

/* A WebSocket echo server on libwebsockets, one thread, as its own examples do it: a message is kept and written when the
 * socket is writable. A message that begins with 'b' goes to everybody, by one kept text and a callback for each
 * connection. Its manual advises an event library for many connections (its own loop is poll(), whose cost grows with
 * them): libuv here, where Debian has the plugin. Usage: bench_lws_echo PORT */
#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { messages_max = 4096 }; /* that wait to be written on one connection; beyond it, it is closed */

struct message {
  unsigned char *kept; /* LWS_PRE bytes of room, then the message; the memory stays for the next one */
  size_t room;
  size_t size;
  int binary;
};

struct session {
  struct message *ring; /* as large as ever so many waited at once */
  unsigned slots, first, waiting;
  struct message part; /* what came of a message that a read cut */
  unsigned told; /* the last broadcast that it was told */
};

static struct message broadcast;
static unsigned broadcasts;

static void add(struct message *message, const void *bytes, size_t size) {
  if (message->room < LWS_PRE + message->size + size) {
    message->room = LWS_PRE + message->size + size;
    message->kept = realloc(message->kept, message->room);
  }
  memcpy(message->kept + LWS_PRE + message->size, bytes, size);
  message->size += size;
}

static void keep(struct message *message, const void *bytes, size_t size, int binary) {
  message->size = 0;
  message->binary = binary;
  add(message, bytes, size);
}

static int write_message(struct lws *link, struct message *message) {
  const enum lws_write_protocol kind = message->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT;
  return lws_write(link, message->kept + LWS_PRE, message->size, kind) < 0 ? -1 : 0;
}

/* A slot behind those that wait, or NULL. */
static struct message *next_slot(struct session *session) {
  if (session->waiting == session->slots) {
    const unsigned slots = session->slots == 0 ? 1 : 2 * session->slots;
    struct message *ring = slots > messages_max ? NULL : calloc(slots, sizeof(struct message));
    if (ring == NULL) return NULL;
    for (unsigned i = 0; i < session->slots; ++i) ring[i] = session->ring[(session->first + i) % session->slots];
    free(session->ring);
    session->ring = ring;
    session->slots = slots;
    session->first = 0;
  }
  return &session->ring[(session->first + session->waiting++) % session->slots];
}

static int on_message(struct lws *link, struct session *session, void *bytes, size_t size) {
  const int binary = lws_frame_is_binary(link);
  if (!lws_is_first_fragment(link) || !lws_is_final_fragment(link)) {
    if (lws_is_first_fragment(link)) session->part.size = 0;
    add(&session->part, bytes, size);
    if (!lws_is_final_fragment(link)) return 0;
    bytes = session->part.kept + LWS_PRE;
    size = session->part.size;
  }
  if (size > 0 && *(char *)bytes == 'b') {
    keep(&broadcast, bytes, size, binary);
    ++broadcasts;
    return lws_callback_on_writable_all_protocol(lws_get_context(link), lws_get_protocol(link)) < 0 ? -1 : 0;
  }
  struct message *slot = next_slot(session);
  if (slot == NULL) return -1;
  keep(slot, bytes, size, binary);
  lws_callback_on_writable(link);
  return 0;
}

static int on_writable(struct lws *link, struct session *session) {
  int failed = 0;
  if (session->waiting > 0) {
    failed = write_message(link, &session->ring[session->first]);
    session->first = (session->first + 1) % session->slots;
    --session->waiting;
  } else if (session->told != broadcasts) {
    session->told = broadcasts;
    failed = write_message(link, &broadcast);
  }
  if (session->waiting > 0 || session->told != broadcasts) lws_callback_on_writable(link);
  return failed;
}

static int on_event(struct lws *link, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
  struct session *session = user;
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: session->told = broadcasts; return 0;
    case LWS_CALLBACK_RECEIVE: return on_message(link, session, in, size);
    case LWS_CALLBACK_SERVER_WRITEABLE: return on_writable(link, session);
    case LWS_CALLBACK_CLOSED:
      for (unsigned i = 0; i < session->slots; ++i) free(session->ring[i].kept);
      free(session->part.kept);
      free(session->ring);
      session->ring = NULL;
      return 0;
    default: return 0;
  }
}

/* Nothing is left to be said when a benchmark ends a subject, and under libuv lws_service comes back at its leisure. */
static void stop(int number) {
  (void)number;
  _exit(0);
}

int main(int argc, char **argv) {
  static const struct lws_protocols protocols[] = {
      {.name = "echo", .callback = on_event, .per_session_data_size = sizeof(struct session), .rx_buffer_size = 65536},
      {.name = NULL}};
  struct lws_context_creation_info info;
  struct lws_context *context;
  memset(&info, 0, sizeof info);
  info.port = argc > 1 ? atoi(argv[1]) : 0;
  info.iface = "127.0.0.1";
  info.protocols = protocols;
  info.options = LWS_SERVER_OPTION_DISABLE_IPV6 | LWS_SERVER_OPTION_LIBUV;
  lws_set_log_level(LLL_ERR, NULL);
  context = lws_create_context(&info);
  if (context == NULL) { /* without the plugin */
    info.options = LWS_SERVER_OPTION_DISABLE_IPV6;
    context = lws_create_context(&info);
  }
  if (context == NULL) return 1;
  signal(SIGTERM, stop);
  while (lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}

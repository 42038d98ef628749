/* A WebSocket echo server on libwebsockets, one thread, as its own examples do it: a message is kept and written when the
 * socket is writable. A message that begins with 'b' goes to everybody, by one kept text and a callback for each
 * connection. Its manual advises an event library for many connections (its own loop is poll(), whose cost grows with
 * them): libuv here, where Debian has the plugin. Usage: bench_lws_echo PORT */
#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct session {
  unsigned char *kept; /* LWS_PRE bytes of room, then the message; kept for the next one, too */
  size_t room;
  size_t size;
  int waits;
  int binary;
  unsigned told; /* the last broadcast that it was told */
};

static unsigned char *broadcast;
static size_t broadcast_room, broadcast_size;
static unsigned broadcasts;

static void keep(unsigned char **kept, size_t *room, const void *bytes, size_t size) {
  if (*room < LWS_PRE + size) {
    *room = LWS_PRE + size;
    *kept = realloc(*kept, *room);
  }
  memcpy(*kept + LWS_PRE, bytes, size);
}

static int on_event(struct lws *link, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
  struct session *session = user;
  switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: session->told = broadcasts; return 0;
    case LWS_CALLBACK_RECEIVE:
      if (size > 0 && *(char *)in == 'b') {
        keep(&broadcast, &broadcast_room, in, size);
        broadcast_size = size;
        ++broadcasts;
        lws_callback_on_writable_all_protocol(lws_get_context(link), lws_get_protocol(link));
        return 0;
      }
      keep(&session->kept, &session->room, in, size);
      session->size = size;
      session->waits = 1;
      session->binary = lws_frame_is_binary(link);
      lws_callback_on_writable(link);
      return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
      if (session->waits) {
        session->waits = 0;
        lws_write(link, session->kept + LWS_PRE, session->size, session->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
        if (session->told != broadcasts) lws_callback_on_writable(link);
      } else if (session->told != broadcasts) {
        session->told = broadcasts;
        lws_write(link, broadcast + LWS_PRE, broadcast_size, LWS_WRITE_BINARY);
      }
      return 0;
    case LWS_CALLBACK_CLOSED:
      free(session->kept);
      session->kept = NULL;
      return 0;
    default: return 0;
  }
}

static volatile int stopping;
static struct lws_context *context;
static void stop(int number) {
  (void)number;
  stopping = 1;
  lws_cancel_service(context);
}

int main(int argc, char **argv) {
  static const struct lws_protocols protocols[] = {
      {.name = "echo", .callback = on_event, .per_session_data_size = sizeof(struct session), .rx_buffer_size = 65536},
      {.name = NULL}};
  struct lws_context_creation_info info;
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
  while (!stopping && lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}

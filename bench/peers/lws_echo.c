/* A WebSocket echo server on libwebsockets, one thread, as its own examples do it: a message is kept and written
 * when the socket is writable. Usage: bench_lws_echo PORT */
#include <libwebsockets.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct session {
  unsigned char *kept; /* LWS_PRE bytes of room, then the message */
  size_t size;
  int binary;
};

static int on_event(struct lws *link, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
  struct session *session = user;
  switch (reason) {
    case LWS_CALLBACK_RECEIVE:
      session->kept = realloc(session->kept, LWS_PRE + size);
      memcpy(session->kept + LWS_PRE, in, size);
      session->size = size;
      session->binary = lws_frame_is_binary(link);
      lws_callback_on_writable(link);
      return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
      if (session->kept == NULL) return 0;
      lws_write(link, session->kept + LWS_PRE, session->size, session->binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT);
      free(session->kept);
      session->kept = NULL;
      return 0;
    case LWS_CALLBACK_CLOSED:
      free(session->kept);
      session->kept = NULL;
      return 0;
    default: return 0;
  }
}

static volatile int stopping;
static void stop(int number) {
  (void)number;
  stopping = 1;
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
  info.options = LWS_SERVER_OPTION_DISABLE_IPV6;
  lws_set_log_level(LLL_ERR, NULL);
  signal(SIGTERM, stop);
  context = lws_create_context(&info);
  if (context == NULL) return 1;
  while (!stopping && lws_service(context, 0) >= 0) {
  }
  lws_context_destroy(context);
  return 0;
}

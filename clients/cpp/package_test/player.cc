#include <poll.h>
#include <rejoin/client.h>

#include <cstdio>

int main() {
  rejoin::Client::Options options;
  options.url = "tcp://127.0.0.1:1";  // nobody is there
  options.give_up_ms = 300;
  options.own_thread = false;
  bool ended = false;
  rejoin::Client::Handlers on;
  on.state = [&](const rejoin::Client::State& state) {
    std::printf("%s %s\n", rejoin::Client::name(state.kind), state.reason.c_str());
    ended = state.kind == rejoin::Client::State::Kind::ended;
  };
  rejoin::Client::Made made = rejoin::Client::make(options, on);
  if (!made) return 1;
  made.client->start();
  while (!ended) {
    pollfd wait{made.client->descriptor(), POLLIN, 0};
    poll(&wait, 1, made.client->timeout_ms());
    made.client->process();
  }
  return made.client->statistics().dials > 0 ? 0 : 1;
}

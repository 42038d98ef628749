// game_server [IP [PORT]], by default 127.0.0.1 7000.
#include <cstdlib>

#include "examples/game_server/game_server.h"

int main(int argc, char** argv) {
  return game_server::serve(argc > 1 ? argv[1] : "127.0.0.1", argc > 2 ? std::atoi(argv[2]) : 7000);
}

// arena_server IP:PORT [IP:PORT...]
#include <cstdio>
#include <cstdlib>

#include "examples/arena_server/arena_server.h"

int main(int count, char** words) {
  std::vector<arena_server::Door> doors;
  for (int i = 1; i < count; ++i) {
    const std::string word = words[i];
    const std::size_t colon = word.rfind(':');
    if (colon == std::string::npos) {
      std::fprintf(stderr, "%s: write IP:PORT\n", words[i]);
      return 2;
    }
    doors.push_back({word.substr(0, colon), std::atoi(word.c_str() + colon + 1)});
  }
  if (doors.empty()) doors.push_back({"127.0.0.1", 7000});
  return arena_server::serve(doors);
}

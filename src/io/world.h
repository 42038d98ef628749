// What a part of the program may touch outside itself, handed in by the constructor. There are no globals:
// who wants time, sockets, chance or a log has a World&. One per worker; a simulation makes one per simulated
// program.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/task.h"
#include "base/timers.h"
#include "io/network.h"

namespace rejoin::io {

struct World {
  Clock& clock;
  Network& network;
  TimerWheel& timers;
  ReadyQueue& ready;
  BufferPool& buffers;
  Random& random;
  Log& log;
};

}  // namespace rejoin::io

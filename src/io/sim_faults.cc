#include "io/sim_faults.h"

namespace rejoin::io {

Faults Faults::from_seed(Random& random) {
  // A third of the kinds is off, so that they are seen apart as well as together.
  const auto draw = [&](double most) {
    switch (random.below(3)) {
      case 0: return 0.0;
      case 1: return most / 10;
      default: return most * static_cast<double>(random.below(1000)) / 1000;
    }
  };
  Faults out;
  out.refuse = draw(0.3);
  out.lost_dial = draw(0.3);
  out.late_accept = draw(0.5);
  out.reset = draw(0.5);
  out.black_hole = draw(0.3);
  out.within = Duration(1000 + static_cast<std::int64_t>(random.below(3'000'000)));
  out.hole_max = Duration(1000 + static_cast<std::int64_t>(random.below(10'000'000)));
  out.hole_for_ever = draw(1);
  out.slow_reader = draw(0.2);
  out.slow_bytes_per_second = 500 + random.below(20'000);
  out.short_write = draw(0.5);
  out.short_read = draw(0.5);
  out.tiny_segment = draw(0.5);
  out.spurious_ready = draw(0.5);
  return out;
}

Faults Faults::harmless() {
  Faults out;
  out.late_accept = 0.3;
  out.accept_delay_max = 5ms;
  out.short_write = 0.3;
  out.short_read = 0.3;
  out.tiny_segment = 0.3;
  out.spurious_ready = 0.3;
  return out;
}

}  // namespace rejoin::io

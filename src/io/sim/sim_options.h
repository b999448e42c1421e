// SimOptions: how the simulated network behaves all by itself, everything drawn from one seed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace penstock::io {

struct SimOptions {
  std::uint64_t seed = 1;  // Equal options and equal programs give equal histories.

  // One way, drawn anew for each segment. A direction's segments never overtake each other.
  Duration latency_min = std::chrono::microseconds(50);
  Duration latency_max = std::chrono::microseconds(200);

  // Of one direction: bytes that a writer may be ahead of the peer's reader before it must wait.
  std::size_t buffer_size = 64 * 1024;
  std::size_t segment_size_max =
      16 * 1024;  // A write travels in segments of at most so many bytes.

  // Probabilities in [0, 1].
  double short_read = 0;   // A read gives fewer bytes than have arrived.
  double short_write = 0;  // A write takes fewer bytes than there is room for.
  double coalesce = 1;     // A read goes on behind a segment's end; 0: one segment a read.
  double cut = 0;          // A segment is lost and its connection reset, at both ends.

  // Run() gives up after so much virtual time: a task that only sleeps would go on for ever.
  Duration run_limit = std::chrono::hours(1);
};

}  // namespace penstock::io

// Tickets: the requests of a closed loop's level, handed out to the workers of all threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "bench/record/record.h"

namespace penstock::bench {

// When the parts of a level begin, in nanoseconds since its start. A request belongs to the part in
// which it was due.
struct LevelTimes {
  std::int64_t warmup_ns = 0;    // Until then: warm-up.
  std::int64_t cooldown_ns = 0;  // From then on: cool-down.
  std::int64_t end_ns = 0;       // From then on: nothing.

  Phase PhaseAt(std::int64_t at_ns) const {
    if (at_ns < warmup_ns) return Phase::kWarmup;
    return at_ns < cooldown_ns ? Phase::kMeasured : Phase::kCooldown;
  }
};

class Tickets {
 public:
  struct Ticket {
    std::uint64_t id = 0;
    Phase phase = Phase::kMeasured;
  };

  // `warmup` requests, then `measured` ones, with ids first_id, first_id + id_step, ….
  Tickets(std::uint64_t first_id, int warmup, int measured, int id_step = 1)
      : first_id_(first_id), id_step_(id_step), warmup_(warmup), total_(warmup + measured) {}
  // As many as are taken before the level's end.
  Tickets(std::uint64_t first_id, const LevelTimes& times, int id_step = 1)
      : first_id_(first_id), id_step_(id_step), times_(times) {}

  // Any thread. None once all are taken, or after Close(). `since_start_ns`: the level's time.
  std::optional<Ticket> Take(std::int64_t since_start_ns) {
    if (closed_.load(std::memory_order_relaxed)) return std::nullopt;
    if (times_ && since_start_ns >= times_->end_ns) return std::nullopt;
    const std::int64_t number = taken_.fetch_add(1, std::memory_order_relaxed);
    if (!times_ && number >= total_) return std::nullopt;
    Ticket ticket{.id = first_id_ + static_cast<std::uint64_t>(number * id_step_)};
    ticket.phase = times_             ? times_->PhaseAt(since_start_ns)
                   : number < warmup_ ? Phase::kWarmup
                                      : Phase::kMeasured;
    return ticket;
  }
  // Any thread: hands out no more.
  void Close() { closed_.store(true, std::memory_order_relaxed); }
  bool closed() const { return closed_.load(std::memory_order_relaxed); }
  // Tried to take so far: an upper bound of those that were handed out.
  std::int64_t taken() const { return taken_.load(std::memory_order_relaxed); }

 private:
  const std::uint64_t first_id_;
  const std::int64_t id_step_;
  const std::int64_t warmup_ = 0;
  const std::int64_t total_ = 0;
  const std::optional<LevelTimes> times_{};
  std::atomic<std::int64_t> taken_ = 0;
  std::atomic<bool> closed_ = false;
};

}  // namespace penstock::bench

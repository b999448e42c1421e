// Poller: one edge-triggered epoll set, and the handlers that it calls.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/clock.h"
#include "base/result.h"
#include "io/epoll/batch_reader.h"
#include "io/epoll/stamp_clock.h"

namespace penstock::io {

// Something with a descriptor in the set.
class EventHandler {
 public:
  virtual ~EventHandler() = default;
  // `events`: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR. May destroy the handler.
  virtual void OnEvents(std::uint32_t events) = 0;
  // OnEvents() comes after a few other events: fetch into the caches what it will touch. Called
  // twice, first with `nearer` false.
  virtual void Prefetch(bool nearer) const { static_cast<void>(nearer); }
  // OnEvents(events) comes after those of others: a chance to add itself to `reader`, which then
  // receives from all of them at once.
  virtual void ReadAhead(std::uint32_t events, BatchReader& reader) {
    static_cast<void>(events);
    static_cast<void>(reader);
  }
};

class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Watches `descriptor` for input, output and hang-up, each edge once. Remove() before closing it.
  Status Add(int descriptor, EventHandler& handler);
  // No event reaches `handler` afterwards, not even one already fetched.
  void Remove(int descriptor, EventHandler& handler);

  // Waits for events; `timeout_ns` < 0: no limit. Returns whether there are any.
  bool Wait(std::int64_t timeout_ns);
  // Calls the handlers of the events that Wait() found.
  void CallHandlers();

  // For the time stamps of all sockets in the set.
  StampClock& stamp_clock() { return stamp_clock_; }

  // What was received for handlers whose turn is yet to come, and when.
  BatchReader& reader() { return reader_; }
  TimePoint received_at() const { return received_at_; }

 private:
  static constexpr std::size_t kBatchMax = 512;
  int WaitNow(std::int64_t timeout_ns);
  void PrefetchAhead(std::size_t next) const;
  void ReadAhead();

  int descriptor_;
  bool fine_ = true;  // Time-outs in nanoseconds; else in milliseconds, never early.
  StampClock stamp_clock_;
  std::array<epoll_event, kBatchMax> batch_{};
  std::size_t batch_size_ = 0;
  std::size_t batch_next_ = 0;  // First event of the batch whose handler was not called yet.
  std::size_t group_end_ = 0;   // First event of the batch that was not read ahead for.
  BatchReader reader_;
  TimePoint received_at_{};
};

}  // namespace penstock::io

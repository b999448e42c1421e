// ReadyWaiter: lets one task wait until a descriptor shows an event: listeners, connects, pidfds.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "base/result.h"
#include "io/epoll/poller.h"
#include "io/event.h"

namespace penstock::io {

class ReadyWaiter final : public EventHandler {
 public:
  // Borrows `descriptor`, which must outlive this. Check `status()` before use.
  ReadyWaiter(Loop& loop, Poller& poller, int descriptor)
      : event_(loop),
        poller_(poller),
        descriptor_(descriptor),
        status_(poller.Add(descriptor, *this)) {}
  ~ReadyWaiter() override { poller_.Remove(descriptor_, *this); }

  const Status& status() const { return status_; }

  // Completes at the next event, or at once if one came since the last Clear().
  Event::WaitOp Wait(Deadline deadline) { return event_.Wait(deadline); }
  // The caller saw the descriptor drained (EAGAIN): forget past events.
  void Clear() { event_.Reset(); }

 private:
  void OnEvents(std::uint32_t) override { event_.Set(); }

  Event event_;
  Poller& poller_;
  int descriptor_;
  Status status_;
};

}  // namespace penstock::io

#include "io/sim/sim_listener.h"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "io/sim/sim_loop.h"
#include "io/sim/sim_network.h"

namespace penstock::io {

namespace {

// How long an accept that found no descriptor waits before it tries again.
constexpr Duration kRetryAfter = std::chrono::milliseconds(100);

bool MeansExhausted(int error_number) {
  return error_number == EMFILE || error_number == ENFILE || error_number == ENOBUFS ||
         error_number == ENOMEM;
}

}  // namespace

SimListener::SimListener(SimNetwork& network, Address address, const ListenOptions& options)
    : network_(network),
      address_(std::move(address)),
      backlog_(static_cast<std::size_t>(std::max(options.backlog, 1))),
      reuse_port_(options.reuse_port),
      changed_(network.loop()) {}

SimListener::~SimListener() {
  network_.RemoveListener(this);
  for (const std::unique_ptr<SimStream>& stream : waiting_) stream->Abort();
}

void SimListener::Enqueue(std::unique_ptr<SimStream> stream) {
  waiting_.push_back(std::move(stream));
  changed_.Set();
}

Task<Result<std::unique_ptr<Stream>>> SimListener::Accept() {
  const TaskState& task = co_await ThisTask();
  for (;;) {
    if (task.cancelled()) co_return Fail(Code::kCancelled, "accept: cancelled");
    if (waiting_.empty() || network_.exhausted()) {
      changed_.Reset();
      const Status changed = co_await changed_.Wait(Deadline::Never());
      if (!changed) co_return Fail(Code::kCancelled, "accept: cancelled");
      continue;
    }
    const auto error = network_.CountOperation();
    if (error && MeansExhausted(*error)) {
      const Status slept = co_await network_.loop().Sleep(kRetryAfter);
      if (!slept) co_return Fail(Code::kCancelled, "accept: cancelled");
      continue;
    }
    std::unique_ptr<SimStream> stream = std::move(waiting_.front());
    waiting_.pop_front();
    if (error) {
      stream->Abort();
      continue;
    }
    network_.Trace(SimEvent::kAccept, 0);
    co_return stream;
  }
}

}  // namespace penstock::io

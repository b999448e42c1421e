#include "io/epoll/contention.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>

namespace penstock::io {

Contention::Contention() : file_(open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) {}

// The file's second number: nanoseconds on a run queue.
Duration Contention::Waited() const {
  std::array<char, 64> text;
  const ssize_t size = pread(file_.get(), text.data(), text.size(), 0);
  if (size <= 0) return waited_;
  const char* const end = text.data() + size;
  std::int64_t value = 0;
  const auto ran = std::from_chars(text.data(), end, value);
  if (ran.ec != std::errc() || ran.ptr == end) return waited_;
  const auto waited = std::from_chars(ran.ptr + 1, end, value);
  return waited.ec == std::errc() ? Duration(value) : waited_;
}

bool Contention::Look(TimePoint now) {
  const Duration since = now - looked_at_;
  if (!file_ || since < kInterval) return false;
  const Duration before = waited_;
  waited_ = Waited();
  const bool first = looked_at_ == TimePoint();
  looked_at_ = now;
  return !first && Seconds(waited_ - before) > kShareMax * Seconds(since);
}

}  // namespace penstock::io

// Contention: whether a thread has to wait for its processor, as the kernel counts it.
#pragma once

#include "base/clock.h"
#include "base/file.h"

namespace penstock::io {

class Contention {
 public:
  // Of the calling thread, which makes all calls. Where the system does not count, there is none.
  Contention();

  // At most every kInterval: whether it was ready to run and did not for more than kShareMax of the
  // time since the last look.
  bool Look(TimePoint now);

  static constexpr Duration kInterval = std::chrono::milliseconds(100);
  static constexpr double kShareMax = 0.1;

 private:
  Duration Waited() const;

  Descriptor file_;
  TimePoint looked_at_{};
  Duration waited_{};
};

}  // namespace penstock::io

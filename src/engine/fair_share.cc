// Counters per caller.
#include "engine/fair_share.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace penstock::engine {

FairShare::Caller* FairShare::Arrive(std::string_view name) {
  if (callers_.size() >= active_ + kIdleCallersMax) ForgetIdle();
  const double floor = Floor();
  Caller& caller = callers_[std::string(name)];
  if (caller.active++ == 0) {
    caller.counter = std::max(caller.counter, floor);
    ++active_;
  }
  return &caller;
}

void FairShare::Leave(Caller* caller) {
  CHECK(caller->active > 0, "every job leaves once");
  if (--caller->active > 0) return;
  if (--active_ == 0) last_left_ = caller->counter;
}

double FairShare::Floor() const {
  if (active_ == 0) return last_left_;
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [name, caller] : callers_) {
    if (caller.active > 0) least = std::min(least, caller.counter);
  }
  return least;
}

void FairShare::ForgetIdle() {
  std::erase_if(callers_, [](const auto& entry) { return entry.second.active == 0; });
}

}  // namespace penstock::engine

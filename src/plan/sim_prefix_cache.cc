#include "plan/sim_prefix_cache.h"

namespace penstock::plan {

std::size_t SimPrefixCache::Use(std::span<const std::uint64_t> chain) {
  if (capacity_ == 0) return 0;
  std::size_t found = 0;
  bool whole = true;
  // From the end, so that a chain's begin is let go last.
  for (std::size_t i = 0; i < chain.size(); ++i) {
    whole = whole && places_.contains(chain[i]);
    found += whole ? 1 : 0;
  }
  for (std::size_t i = chain.size(); i-- > 0;) {
    const auto there = places_.find(chain[i]);
    if (there != places_.end()) {
      order_.splice(order_.begin(), order_, there->second);
      continue;
    }
    order_.push_front(chain[i]);
    places_.emplace(chain[i], order_.begin());
  }
  while (order_.size() > capacity_) {
    places_.erase(order_.back());
    order_.pop_back();
  }
  return found;
}

void SimPrefixCache::Clear() {
  order_.clear();
  places_.clear();
}

}  // namespace penstock::plan

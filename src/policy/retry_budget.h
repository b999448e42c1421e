// RetryBudget: retries are a share of requests, so that a failing pool is not asked twice as much.
//
// Pure. Each request earns a tenth of a retry; ten can be saved, and are there at the start.
#pragma once

#include <algorithm>

namespace penstock::policy {

class RetryBudget {
 public:
  static constexpr double kPerRequest = 0.1;
  static constexpr double kSavedMax = 10;

  void OnRequest() { saved_ = std::min(kSavedMax, saved_ + kPerRequest); }
  // True: one retry may be made, and is paid for.
  bool Take() {
    if (saved_ < 1) return false;
    saved_ -= 1;
    return true;
  }
  double saved() const { return saved_; }

 private:
  double saved_ = kSavedMax;
};

}  // namespace penstock::policy

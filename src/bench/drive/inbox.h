// Inbox: records on their way from the driver threads to the thread that keeps them.
//
// The only lock of this folder. Taken once per finished request, never while a stream runs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "bench/drive/driver.h"
#include "bench/record/record.h"

namespace penstock::bench {

class Inbox {
 public:
  // Any thread.
  void Put(RequestRecord record, Texts texts = {}) {
    const std::lock_guard lock(mutex_);
    records_.push_back({std::move(record), std::move(texts)});
  }

  // Any thread: one driver thread has done its part of the stage.
  void PutDone() {
    const std::lock_guard lock(mutex_);
    ++done_;
    changed_.notify_one();
  }

  struct Item {
    RequestRecord record;
    Texts texts;  // Empty, unless somebody counts them.
  };
  struct Batch {
    std::vector<Item> records;
    int done = 0;  // Driver threads that finished since the last batch.
  };

  // Waits until a thread is done or `wait_max` has passed, then takes everything.
  Batch Take(Duration wait_max) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, wait_max, [this] { return done_ > 0; });
    return {std::exchange(records_, {}), std::exchange(done_, 0)};
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Item> records_;
  int done_ = 0;
};

}  // namespace penstock::bench

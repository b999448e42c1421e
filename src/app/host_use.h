// HostReader: how busy this machine is: processors over the last minute, memory and GPUs now.
//
// Processor time is counted since the machine started; a reading is compared with the one a minute
// before it, or with the oldest there is. Reads files; not thread-safe.
#pragma once

#include <deque>
#include <string>

#include "app/gpu_use.h"
#include "base/clock.h"
#include "meter/databricks_metrics.h"

namespace penstock::app {

class HostReader {
 public:
  explicit HostReader(std::string proc = "/proc", std::string nvml = "libnvidia-ml.so.1")
      : proc_(std::move(proc)), gpus_(std::move(nvml)) {}

  meter::HostUse Read(TimePoint now);

 private:
  struct Times {
    TimePoint at{};  // None: since the machine started.
    double total = 0;
    double idle = 0;
  };
  double CpuPercent(TimePoint now);

  std::string proc_;
  GpuReader gpus_;
  std::deque<Times> earlier_{{}};  // Some seconds apart; the first is a minute old, if any is.
};

}  // namespace penstock::app

// GpuReader: how busy this machine's NVIDIA GPUs are, and how full their memory, by NVML.
//
// NVML comes with NVIDIA's driver, so it is opened where it is there (libnvidia-ml.so.1) at the
// first reading, which may take a second; each later one takes a millisecond or so. Without it, or
// without a GPU, there is nothing to tell. Not thread-safe; not for an I/O thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "meter/databricks_metrics.h"

namespace penstock::app {

class GpuReader {
 public:
  explicit GpuReader(std::string library = "libnvidia-ml.so.1");
  ~GpuReader();
  GpuReader(const GpuReader&) = delete;
  GpuReader& operator=(const GpuReader&) = delete;

  // In NVML's order. What a GPU does not tell stays below 0.
  std::vector<meter::GpuUse> Read();

 private:
  struct Nvml;
  std::string library_;
  bool tried_ = false;
  std::unique_ptr<Nvml> nvml_;  // None: there are no GPUs.
};

}  // namespace penstock::app

#include "app/gpu_use.h"

#include <dlfcn.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace penstock::app {
namespace {

// What we use of NVML's C interface, which is the same in all of its versions.
using Status = int;  // 0: done.
using Device = void*;
struct Utilization {
  unsigned gpu = 0;  // Percent of the last moment in which it computed.
  unsigned memory = 0;
};
struct Memory {
  unsigned long long total = 0;
  unsigned long long free = 0;
  unsigned long long used = 0;
};
constexpr unsigned kGpusMax = 64;

}  // namespace

struct GpuReader::Nvml {
  void* library = nullptr;
  Status (*init)() = nullptr;
  Status (*shutdown)() = nullptr;
  Status (*count)(unsigned*) = nullptr;
  Status (*device)(unsigned, Device*) = nullptr;
  Status (*utilization)(Device, Utilization*) = nullptr;
  Status (*memory)(Device, Memory*) = nullptr;
  bool begun = false;

  template <typename Function>
  bool Find(const char* name, Function& function) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
  }

  bool Open(const std::string& name) {
    library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return false;
    const bool found = Find("nvmlInit_v2", init) && Find("nvmlShutdown", shutdown) &&
                       Find("nvmlDeviceGetCount_v2", count) &&
                       Find("nvmlDeviceGetHandleByIndex_v2", device) &&
                       Find("nvmlDeviceGetUtilizationRates", utilization) &&
                       Find("nvmlDeviceGetMemoryInfo", memory);
    if (!found) {
      Log().warn("{} lacks a function that GPU metrics need: there are none", name);
      return false;
    }
    const Status status = init();
    begun = status == 0;
    if (!begun) Log().warn("{}: nvmlInit answered {}: there are no GPU metrics", name, status);
    return begun;
  }

  ~Nvml() {
    if (begun) shutdown();
    if (library != nullptr) dlclose(library);
  }
};

GpuReader::GpuReader(std::string library) : library_(std::move(library)) {}
GpuReader::~GpuReader() = default;

std::vector<meter::GpuUse> GpuReader::Read() {
  if (!std::exchange(tried_, true)) {
    auto nvml = std::make_unique<Nvml>();
    if (nvml->Open(library_)) nvml_ = std::move(nvml);
  }
  std::vector<meter::GpuUse> gpus;
  unsigned count = 0;
  if (nvml_ == nullptr || nvml_->count(&count) != 0) return gpus;
  for (unsigned i = 0; i < std::min(count, kGpusMax); ++i) {
    meter::GpuUse& use = gpus.emplace_back();
    Device device = nullptr;
    if (nvml_->device(i, &device) != 0) continue;
    Utilization busy;
    if (nvml_->utilization(device, &busy) == 0) use.busy_percent = busy.gpu;
    Memory memory;
    if (nvml_->memory(device, &memory) == 0 && memory.total > 0) {
      use.memory_percent =
          100 * static_cast<double>(memory.used) / static_cast<double>(memory.total);
    }
  }
  return gpus;
}

}  // namespace penstock::app

// A stand-in for NVIDIA's library, for tests: two GPUs, of which the second does not tell how busy
// it is. FAKE_NVML says what fails: "init", "count".
#include <cstdlib>
#include <cstring>

namespace {

bool Fails(const char* what) {
  const char* words = std::getenv("FAKE_NVML");
  return words != nullptr && std::strcmp(words, what) == 0;
}
struct Utilization {
  unsigned gpu;
  unsigned memory;
};
struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};
char devices[2];
int begun = 0;

}  // namespace

extern "C" {

int nvmlInit_v2() {
  if (Fails("init")) return 9;  // NVML_ERROR_DRIVER_NOT_LOADED
  ++begun;
  return 0;
}
int nvmlShutdown() {
  --begun;
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  if (begun == 0 || Fails("count")) return 1;
  *count = 2;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (begun == 0 || index > 1) return 2;
  *device = &devices[index];
  return 0;
}
int nvmlDeviceGetUtilizationRates(void* device, Utilization* use) {
  if (device != &devices[0]) return 3;  // NVML_ERROR_NOT_SUPPORTED
  *use = {.gpu = 73, .memory = 12};
  return 0;
}
int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
  const unsigned long long used = device == &devices[0] ? 30 : 20;
  *memory = {.total = 80, .free = 80 - used, .used = used};
  return 0;
}
}

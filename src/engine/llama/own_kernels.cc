// llama.cpp's CPU backends call `llamafile_sgemm` through their procedure table, whose entries the
// dynamic loader fills with the program's own function of that name where it has one. So the
// function below is called instead; what it does not know it hands to the backend's own. The call
// is none that llama.cpp promises: it is made for the pinned release alone.
#include "engine/llama/own_kernels.h"

#include <dlfcn.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <atomic>

#include "engine/llama/q8_matmul.h"

namespace penstock::engine {
namespace {

// How the pinned release's `ggml_compute_params` begins.
struct ComputeParameters {
  int thread;
  int threads;
};

using Multiply = bool (*)(const ComputeParameters*, std::int64_t, std::int64_t, std::int64_t,
                          const void*, std::int64_t, const void*, std::int64_t, void*, std::int64_t,
                          int, int, int);

std::atomic<Multiply> theirs = nullptr;
std::atomic<bool> ours_used = false;
std::atomic<std::uint64_t> calls = 0;

// The function in the library of the CPU backend that was chosen for this processor.
Multiply FindTheirs() {
  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (cpu == nullptr) return nullptr;
  void* const inside =
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), "ggml_threadpool_new");
  Dl_info library{};
  if (inside == nullptr || dladdr(inside, &library) == 0) return nullptr;
  void* const handle = dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  if (handle == nullptr) return nullptr;
  return reinterpret_cast<Multiply>(dlsym(handle, "llamafile_sgemm"));
}

}  // namespace

bool UseOwnKernels(bool wanted) {
  if (theirs.load() == nullptr) theirs = FindTheirs();
#ifdef PENSTOCK_LLAMA_OWN_KERNELS
  const bool use = wanted && theirs.load() != nullptr && CanMultiplyQ8();
#else
  const bool use = false;
  static_cast<void>(wanted);
#endif
  ours_used = use;
  return use;
}

std::uint64_t OwnKernelCalls() { return calls.load(std::memory_order_relaxed); }

#ifdef PENSTOCK_LLAMA_OWN_KERNELS
// C[column][row] = A[row] * B[column]; sizes of rows and columns in blocks of their type. False:
// the caller does it in another way.
extern "C" __attribute__((visibility("default"))) bool llamafile_sgemm(
    const ComputeParameters* parameters, std::int64_t m, std::int64_t n, std::int64_t k,
    const void* a, std::int64_t a_stride, const void* b, std::int64_t b_stride, void* c,
    std::int64_t c_stride, int a_type, int b_type, int c_type) {
  if (a_type == GGML_TYPE_Q8_0 && b_type == GGML_TYPE_Q8_0 && c_type == GGML_TYPE_F32 &&
      ours_used.load(std::memory_order_relaxed)) {
    MultiplyQ8({.rows = m,
                .columns = n,
                .blocks = k,
                .weights = static_cast<const std::uint8_t*>(a),
                .weights_stride = a_stride * kQ8BlockBytes,
                .values = static_cast<const std::uint8_t*>(b),
                .values_stride = b_stride * kQ8BlockBytes,
                .results = static_cast<float*>(c),
                .results_stride = c_stride},
               parameters->thread, parameters->threads);
    if (parameters->thread == 0) calls.fetch_add(1, std::memory_order_relaxed);
    return true;
  }
  const Multiply next = theirs.load(std::memory_order_relaxed);
  return next != nullptr &&
         next(parameters, m, n, k, a, a_stride, b, b_stride, c, c_stride, a_type, b_type, c_type);
}
#endif

}  // namespace penstock::engine

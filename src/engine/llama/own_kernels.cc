// llama.cpp's CPU backends call `llamafile_sgemm` and `ggml_compute_forward_flash_attn_ext` through
// their procedure table, whose entries the dynamic loader fills with the program's own functions of
// these names where it has them. So the functions below are called instead; what they do not know
// they hand to the backend's own. The calls are none that llama.cpp promises: this is made for the
// pinned release alone.
#include "engine/llama/own_kernels.h"

#include <dlfcn.h>
#include <ggml-backend.h>
#include <ggml.h>

#include <atomic>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "engine/llama/attention_kernel.h"
#include "engine/llama/q8_matmul.h"

namespace penstock::engine {
namespace {

// How the pinned release's `ggml_compute_params` begins.
struct ComputeParameters {
  int thread;
  int threads;
  std::size_t memory_bytes;  // Of all threads together, for one operation.
  void* memory;
  void* pool;
};

using Multiply = bool (*)(const ComputeParameters*, std::int64_t, std::int64_t, std::int64_t,
                          const void*, std::int64_t, const void*, std::int64_t, void*, std::int64_t,
                          int, int, int);

using AttentionCall = void (*)(const ComputeParameters*, ggml_tensor*);

std::atomic<Multiply> theirs = nullptr;
std::atomic<AttentionCall> their_attention = nullptr;
std::atomic<void (*)(void* pool)> their_barrier = nullptr;
std::atomic<bool> ours_used = false;
std::atomic<std::uint64_t> calls = 0;
std::atomic<std::uint64_t> attention_calls = 0;

// The library of the CPU backend that was chosen for this processor; null where it is none.
void* BackendLibrary() {
  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (cpu == nullptr) return nullptr;
  void* const inside =
      ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), "ggml_threadpool_new");
  Dl_info library{};
  if (inside == nullptr || dladdr(inside, &library) == 0) return nullptr;
  return dlopen(library.dli_fname, RTLD_NOW | RTLD_NOLOAD);
}

void FindTheirs() {
  void* const library = BackendLibrary();
  if (library == nullptr) return;
  their_attention =
      reinterpret_cast<AttentionCall>(dlsym(library, "ggml_compute_forward_flash_attn_ext"));
  their_barrier = reinterpret_cast<void (*)(void*)>(dlsym(library, "ggml_barrier"));
  theirs = reinterpret_cast<Multiply>(dlsym(library, "llamafile_sgemm"));
}

// Nothing where the operation is not one that our kernel takes.
std::optional<AttentionTask> TaskOf(const ggml_tensor& result) {
  const ggml_tensor& query = *result.src[0];
  const ggml_tensor& key = *result.src[1];
  const ggml_tensor& value = *result.src[2];
  const ggml_tensor* const mask = result.src[3];
  float settings[3];  // Scale, greatest bias by distance, cap of products.
  std::memcpy(settings, result.op_params, sizeof(settings));
  const bool plain = settings[1] == 0 && settings[2] == 0 && result.src[4] == nullptr &&
                     query.type == GGML_TYPE_F32 && key.type == GGML_TYPE_F16 &&
                     value.type == GGML_TYPE_F16 && key.ne[0] == value.ne[0] &&
                     key.ne[2] == value.ne[2] && key.ne[3] == query.ne[3] &&
                     value.ne[3] == query.ne[3] && query.nb[0] == sizeof(float) && key.nb[0] == 2 &&
                     value.nb[0] == 2 && ggml_is_contiguous(&result);
  const bool masks = mask == nullptr || (mask->type == GGML_TYPE_F16 && mask->ne[2] == 1 &&
                                         mask->nb[0] == 2 && query.ne[3] % mask->ne[3] == 0 &&
                                         (mask->ne[3] == 1 || mask->ne[3] == query.ne[3]));
  if (!plain || !masks || !CanAttend(key.ne[0])) return std::nullopt;
  const auto stride = [](const ggml_tensor& of, int dimension) {
    return static_cast<std::int64_t>(of.nb[dimension]);
  };
  AttentionTask task{.streams = query.ne[3],
                     .heads = query.ne[2],
                     .key_heads = key.ne[2],
                     .queries = query.ne[1],
                     .keys = key.ne[1],
                     .size = key.ne[0],
                     .scale = settings[0],
                     .query = static_cast<const char*>(query.data),
                     .query_stride = stride(query, 1),
                     .query_head_stride = stride(query, 2),
                     .query_stream_stride = stride(query, 3),
                     .key = static_cast<const char*>(key.data),
                     .key_stride = stride(key, 1),
                     .key_head_stride = stride(key, 2),
                     .key_stream_stride = stride(key, 3),
                     .value = static_cast<const char*>(value.data),
                     .value_stride = stride(value, 1),
                     .value_head_stride = stride(value, 2),
                     .value_stream_stride = stride(value, 3),
                     .results = static_cast<float*>(result.data)};
  if (mask != nullptr) {
    task.mask = static_cast<const char*>(mask->data);
    task.mask_stride = stride(*mask, 1);
    task.mask_stream_stride = mask->ne[3] == 1 ? 0 : stride(*mask, 3);
  }
  return task;
}

}  // namespace

bool UseOwnKernels(bool wanted) {
  if (theirs.load() == nullptr) FindTheirs();
#ifdef PENSTOCK_LLAMA_OWN_KERNELS
  const bool use =
      wanted && theirs.load() != nullptr && their_attention.load() != nullptr && CanMultiplyQ8();
#else
  const bool use = false;
  static_cast<void>(wanted);
#endif
  ours_used = use;
  return use;
}

OwnKernelUse OwnKernelCalls() {
  return {.products = calls.load(std::memory_order_relaxed),
          .attentions = attention_calls.load(std::memory_order_relaxed)};
}

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

// Taken over where there is a part for each thread; with fewer, llama.cpp shares keys out.
extern "C" __attribute__((visibility("default"))) void ggml_compute_forward_flash_attn_ext(
    const ComputeParameters* parameters, ggml_tensor* result) {
  if (ours_used.load(std::memory_order_relaxed)) {
    const std::optional<AttentionTask> task = TaskOf(*result);
    if (task && AttentionParts(*task) >= parameters->threads) {
      Attend(*task, {.thread = parameters->thread,
                     .threads = parameters->threads,
                     .shared = static_cast<float*>(parameters->memory),
                     .shared_floats = parameters->memory_bytes / sizeof(float),
                     .wait = their_barrier.load(std::memory_order_relaxed),
                     .wait_context = parameters->pool});
      if (parameters->thread == 0) attention_calls.fetch_add(1, std::memory_order_relaxed);
      return;
    }
  }
  const AttentionCall next = their_attention.load(std::memory_order_relaxed);
  CHECK(next != nullptr, "StartBackend() finds what it stands in for");
  next(parameters, result);
}
#endif

}  // namespace penstock::engine

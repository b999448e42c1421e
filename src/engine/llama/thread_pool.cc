// The CPU backend's thread pool, found through the registry because the backend is loaded at run
// time.
#include "engine/llama/thread_pool.h"

#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <llama.h>

namespace penstock::engine {

ThreadPool::ThreadPool(int threads) {
  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (threads < 2 || cpu == nullptr) return;
  ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(cpu);
  using New = ggml_threadpool* (*)(ggml_threadpool_params*);
  const auto create =
      reinterpret_cast<New>(ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_new"));
  free_ = reinterpret_cast<void (*)(ggml_threadpool*)>(
      ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_free"));
  if (create == nullptr || free_ == nullptr) return;
  ggml_threadpool_params parameters = ggml_threadpool_params_default(threads);
  pool_ = create(&parameters);
}

ThreadPool::~ThreadPool() {
  if (pool_ != nullptr) free_(pool_);
}

void ThreadPool::AttachTo(llama_context* context) const {
  if (pool_ != nullptr) llama_attach_threadpool(context, pool_, pool_);
}

}  // namespace penstock::engine

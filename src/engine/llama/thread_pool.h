// ThreadPool: the threads that compute, kept between steps. Without one, ggml starts threads at
// every step.
#pragma once

struct ggml_threadpool;
struct llama_context;

namespace penstock::engine {

class ThreadPool {
 public:
  // One thread needs no pool; and where the backend offers none, AttachTo() does nothing.
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  // The context must be detached, or freed, before the pool ends.
  void AttachTo(llama_context* context) const;

 private:
  ggml_threadpool* pool_ = nullptr;
  void (*free_)(ggml_threadpool*) = nullptr;
};

}  // namespace penstock::engine

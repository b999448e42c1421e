// Attention of queries over cached keys and values, a tile at a time (flash attention).
//
// llama.cpp's for processors computes one query after the other, or tiles of 64 that its vectors
// fill by a third. This one takes the heads that share keys together, turns the keys of a tile into
// the order in which vectors take them, and so costs what reading the cache costs where few queries
// look at it, and less than half of llama.cpp's where a prompt does.
#pragma once

#include <cstddef>
#include <cstdint>

namespace penstock::engine {

// Strides are in bytes. Queries are floats, keys, values and mask half floats, each row without
// gaps.
struct AttentionTask {
  std::int64_t streams = 1;
  std::int64_t heads = 1;
  std::int64_t key_heads = 1;  // Divides `heads`: so many follow each other on one of these.
  std::int64_t queries = 1;    // Of each head.
  std::int64_t keys = 1;
  std::int64_t size = 64;  // Of a vector: see CanAttend().
  float scale = 1;

  const char* query = nullptr;
  std::int64_t query_stride = 0, query_head_stride = 0, query_stream_stride = 0;
  const char* key = nullptr;
  std::int64_t key_stride = 0, key_head_stride = 0, key_stream_stride = 0;
  const char* value = nullptr;
  std::int64_t value_stride = 0, value_head_stride = 0, value_stream_stride = 0;
  // Added to a query's products with the keys; -infinity hides a key. Null: nothing is.
  const char* mask = nullptr;
  std::int64_t mask_stride = 0, mask_stream_stride = 0;

  float* results = nullptr;  // [stream][query][head][size]
};

// Whether this processor can, and vectors have a size that the kernel takes.
bool CanAttend(std::int64_t size);

// The threads that do a task together; each calls Attend() with its own number.
struct AttentionTeam {
  int thread = 0;
  int threads = 1;
  // Memory that all see, and how one waits for all: keys are shared out among threads only where
  // there are both.
  float* shared = nullptr;
  std::size_t shared_floats = 0;
  void (*wait)(void* context) = nullptr;
  void* wait_context = nullptr;
};

// Parts of the task that can be computed side by side without sharing keys out.
std::int64_t AttentionParts(const AttentionTask& task);

// Does the thread's share. REQUIRES: CanAttend(), and equal tasks and teams for all.
void Attend(const AttentionTask& task, const AttentionTeam& team);

}  // namespace penstock::engine

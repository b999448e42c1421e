// Data set: prompts from a file, in place of ones that are cut from a corpus.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bench/workload/message.h"

namespace penstock::bench {

// One entry: what is sent first, and what the same user says in the turns after it.
struct DataItem {
  Messages opening{};                // Never empty; the last one is the user's.
  std::vector<std::string> later{};  // The user's further turns.
  int output_tokens = 0;             // 0: the workload decides.
};

struct DataSet {
  std::string name{};
  std::vector<DataItem> items{};

  // JSON lines, each an object with "prompt" (text) or "messages" ([{"role", "content"}]), and
  // perhaps "output_tokens", "max_tokens" or "max_completion_tokens"; or ShareGPT: a JSON array of
  // {"conversations": [{"from": "human", "value": "…"}, …]}. Conversations that hold no turn of a
  // user are left out. Errors: kCorrupt naming row (line, or place in the array) and column (key).
  static Result<DataSet> Parse(std::string_view text);

  // Blocks. Errors: kNotFound, and those of Parse(), with the path in front.
  static Result<DataSet> FromFile(const std::string& path);
};

}  // namespace penstock::bench

// Workload: prompts of an exact token length, cut from a corpus. Pure, and equal for equal
// settings.
//
// The reference workload is 2048 input and 256 output tokens, which is what a tokens/s figure
// means. Only the server knows how it counts, so a prompt's length is found from its own counts: a
// fitter proposes a number of bytes, sees how many tokens came of it, and proposes again. A pool
// holds some bodies of text, each with its own fitter. A prompt is a salt, a body and a closing
// line: the salt, at the very beginning and of constant width, makes every prompt's prefix its own,
// so that no prefix cache can help.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/workload/corpus.h"

namespace penstock::bench {

inline constexpr int kReferenceInputTokens = 2048;
inline constexpr int kReferenceOutputTokens = 256;

// How text becomes tokens: tokens ≈ overhead + bytes / bytes_per_token. The overhead is what a chat
// template, the salt and the closing line add.
struct TextRatio {
  double bytes_per_token = 4.5;
  double overhead_tokens = 24;
};

inline constexpr std::size_t kBytesPerTokenMax = 16;

// Finds the number of bytes of one text that makes exactly the wanted number of tokens.
class PromptFitter {
 public:
  // `target_tokens` >= 1. `tolerance` is how many tokens off still count as found.
  PromptFitter(int target_tokens, TextRatio ratio, int tolerance = 0)
      : target_(target_tokens), tolerance_(tolerance), ratio_(ratio) {}

  // The server counted `tokens` in a prompt with `bytes` of the text.
  void Observe(std::size_t bytes, int tokens);

  // A better prior, learned elsewhere; without effect once something was observed here.
  void Suggest(TextRatio ratio);

  // Bytes to try next; once settled, those that came closest. At least 1, and at most
  // kBytesPerTokenMax for each token wanted, whatever a server counts.
  std::size_t Propose() const;

  // Nothing better will be found: exact, within the tolerance, neighbouring lengths straddle it, or
  // the counts follow no rule.
  bool settled() const { return settled_; }
  // The closest observation's distance from the target; none before the first.
  std::optional<int> error_tokens() const;

 private:
  struct Point {
    std::size_t bytes = 0;
    int tokens = 0;
  };
  void Keep(Point point);
  const Point* Closest() const;

  int target_;
  int tolerance_;
  TextRatio ratio_;
  std::optional<Point> below_;  // Longest text seen with fewer tokens than wanted.
  std::optional<Point> above_;  // Shortest text seen with more, or exactly the number wanted.
  int observed_ = 0;
  bool settled_ = false;
};

struct PoolSettings {
  int input_tokens = kReferenceInputTokens;  // At least kInputTokensMin.
  int bodies = 8;                            // Different texts; at least 1.
  std::uint64_t seed = 1;  // Chooses where the bodies start, and which comes when.
  std::uint64_t salt = 0;  // Chooses the salts; differs from run to run.
};

// Room for the salt, the closing line and a chat template.
inline constexpr int kInputTokensMin = 64;

struct Prompt {
  std::string text;
  int body = 0;
  std::size_t body_bytes = 0;
};

// A value: each driver thread may own a copy, which then learns for itself.
class PromptPool {
 public:
  // `corpus` must outlive the pool and its copies.
  PromptPool(const Corpus& corpus, PoolSettings settings);

  // The prompt of request `id`: no two ids below 10^12 have a common prefix beyond the salt's.
  Prompt Make(std::uint64_t id) const;
  // The same, with a body of the caller's choice: for probes.
  Prompt MakeWithBody(std::uint64_t id, int body) const;

  // The server counted `tokens` in the whole prompt.
  void Observe(const Prompt& prompt, int tokens);

  int bodies() const { return static_cast<int>(fitters_.size()); }
  int settled() const;  // Bodies whose length will not change any more.
  // The body furthest from its wanted length, those never tried first; none once all are settled.
  std::optional<int> NextToProbe() const;
  // The worst distance from the target over the bodies tried; none before the first.
  std::optional<int> worst_error_tokens() const;

 private:
  std::string Salt(std::uint64_t id) const;

  const Corpus* corpus_;  // Borrowed.
  PoolSettings settings_;
  std::vector<std::size_t> offsets_;
  std::vector<PromptFitter> fitters_;
};

}  // namespace penstock::bench

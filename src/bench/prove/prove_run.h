// Prove run: a whole proof, from options to verdict: what `penstock bench prove` calls.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bench/drive/progress.h"
#include "bench/prove/prove.h"

namespace penstock::bench {

struct ProveOptions {
  std::string url;
  std::string model;
  std::string api_key;
  // The neighbour: where one of them is named, it floods; what is empty is the buyer's.
  std::string neighbour_url;
  std::string neighbour_model;
  std::string neighbour_api_key;
  ProofTerms terms;
  std::string api_version;  // Of Azure.
  std::string corpus_path;
  std::uint64_t seed = 1;
  Duration timeout = std::chrono::minutes(2);  // Of one request.
  std::vector<std::string> headers;            // "NAME: VALUE", with each request.
  bool insecure = false;
  bool progress = true;
  std::string evidence_path;  // JSON lines; "" keeps none.
  std::string command;        // For the page; without keys.
  SelfTest self_test{};       // What was found on this machine, for the page.
  std::function<void(const ProgressState&)> on_progress;
};

// Blocks until the proof is done, or `stop` (any thread) ends it within a quarter of a second: then
// what was not seen is not proven. Errors: kInvalidArgument naming the option; those of Fit(), when
// not even a first request succeeds.
Result<Proof> RunProve(const ProveOptions& options, const std::atomic<bool>& stop);

}  // namespace penstock::bench

// Records for the tests of this folder: made by rule, so that every figure can be worked out by
// hand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/record/record.h"

namespace penstock::bench::testing {

inline constexpr std::int64_t kMs = 1'000'000;

// A streamed reply of one-token chunks, evenly apart.
struct Stream {
  std::uint64_t id = 0;
  int concurrency = 1;
  std::int64_t sent_ms = 0;
  std::int64_t ttft_ms = 100;
  std::int64_t gap_ms = 10;
  int tokens = 11;
  int input_tokens = 100;
};

inline RequestRecord MakeRecord(const Stream& stream) {
  RequestRecord record;
  record.id = stream.id;
  record.concurrency = stream.concurrency;
  record.scheduled_ns = record.sent_ns = stream.sent_ms * kMs;
  record.first_byte_ns = record.sent_ns + kMs;
  record.first_token_ns = record.first_answer_ns = record.sent_ns + stream.ttft_ms * kMs;
  record.gaps_ns.assign(static_cast<std::size_t>(stream.tokens - 1), stream.gap_ms * kMs);
  record.last_token_ns = record.first_token_ns + (stream.tokens - 1) * stream.gap_ms * kMs;
  record.end_ns = record.last_token_ns;
  record.chunks = record.reads = record.output_tokens = record.output_tokens_wanted = stream.tokens;
  record.first_chunk_tokens = 1;
  record.http_status = 200;
  record.finish_reason = "length";
  record.input_tokens = record.input_tokens_wanted = stream.input_tokens;
  record.prompt_bytes = stream.input_tokens * 4;
  return record;
}

inline RunHeader MakeHeader() {
  RunHeader header;
  header.started_at = "2026-01-02T03:04:05.678Z";
  header.settings = {.url = "http://127.0.0.1:8080/v1/chat/completions",
                     .model = "reference-8b",
                     .concurrency = {},
                     .warmup_per_level = 1,
                     .input_tokens = 2048,
                     .output_tokens = 256,
                     .timeout_ms = 600'000,
                     .threads = 1,
                     .seed = 1,
                     .salt = 42,
                     .corpus = "shipped",
                     .command = "penstock bench http://127.0.0.1:8080 --model reference-8b"};
  header.environment = {.host_cpu = "Example CPU 3000",
                        .host_cores = 16,
                        .system = "Linux 6.1",
                        .build_type = "Release",
                        .version = "0.1.0"};
  return header;
}

// A whole sweep of a server with a knee: a request alone takes `alone_ms` to its first token and
// 20 ms a token; beyond eight at once, all slow down together. Each level is a perfect closed loop.
inline RunRecords MakeSweep(const std::vector<int>& levels) {
  RunRecords run{.header = MakeHeader(), .requests = {}, .levels = {}};
  std::uint64_t id = 0;
  std::int64_t level_start = 0;
  for (const int concurrency : levels) {
    const double crowd =
        concurrency <= 8 ? 1 + 0.05 * concurrency : concurrency / (5.9 + concurrency / 32.0);
    const auto gap = static_cast<std::int64_t>(20 * crowd);
    const auto ttft = static_cast<std::int64_t>(250 * crowd);
    const int rounds = 6;
    const std::int64_t each = ttft + 255 * gap;
    for (int worker = 0; worker < concurrency; ++worker) {
      for (int round = 0; round < rounds; ++round) {
        // Workers drift apart a little, so that quantiles differ.
        const std::int64_t late = worker * 7 % 40;
        auto record = MakeRecord(
            {.id = id++,
             .concurrency = concurrency,
             .sent_ms = level_start + round * (each + 40) + late,
             .ttft_ms = ttft + (worker + round) % 5 * ttft / 12 + (worker + round) % 17 / 16 * ttft,
             .gap_ms = gap,
             .tokens = 256,
             .input_tokens = 2048});
        record.phase = round == 0 ? Phase::kWarmup : Phase::kMeasured;
        run.requests.push_back(std::move(record));
      }
    }
    level_start += rounds * (each + 200);
  }
  return run;
}

}  // namespace penstock::bench::testing

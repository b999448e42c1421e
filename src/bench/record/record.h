// Record: what a load test keeps of each request, and of the run around it.
//
// Every time is in integer nanoseconds of the monotonic clock since the run's start; kNever marks
// an event that did not happen. The figures of a report are functions of these values alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::bench {

inline constexpr std::int64_t kNever = -1;
inline constexpr int kUnknown = -1;  // A token count that the server did not tell.

// How a request failed. Everything but kNone counts as a failure.
enum class ErrorKind {
  kNone,
  kConnect,      // No connection, or it broke before the request was written.
  kTimeout,      // The request's time-out passed.
  kStalled,      // Nothing came for the stall time-out, though the answer had begun.
  kRateLimited,  // Status 429.
  kStatus,       // Any other status outside 200..299.
  kStream,       // An error event inside a stream that had begun well.
  kTruncated,    // The connection or the stream ended before the answer did.
  kMalformed,    // Not HTTP, not SSE, not JSON, or not the shape that the API promises.
  kNotStream,    // A stream was asked for, and something else came: one JSON text, a page.
  kEmpty,        // A good status and a clean end, but not one token.
  kCancelled,    // The run was stopped while the request was under way.
};
inline constexpr int kErrorKinds = 12;
std::string_view Name(ErrorKind kind);  // "none", "connect", "timeout", "rate_limited", ...
std::optional<ErrorKind> ErrorKindNamed(std::string_view name);

// Which part of a run a request belongs to. Warm-up requests load the server like any other, and
// their tokens count towards throughput, but their own times enter no distribution; cool-down
// requests, which keep the load up while the last measured ones end, are alike. Requests that only
// find out how long prompts must be come before all levels and enter nothing.
enum class Phase { kFit, kWarmup, kMeasured, kCooldown };
std::string_view Name(Phase phase);  // "fit", "warmup", "measured", "cooldown"
std::optional<Phase> PhaseNamed(std::string_view name);

// What a server did that no contract allows, in answers that were usable all the same.
enum class Oddity : std::uint8_t {
  kNoDone,         // The stream ended without [DONE].
  kBadUtf8,        // Text that is not UTF-8, a character split between events included.
  kUsageTooSmall,  // The usage counts fewer output tokens than events with text came.
  kUsageTooLarge,  // The usage counts more output tokens than were allowed.
  kAfterDone,      // Events behind [DONE].
};
inline constexpr int kOddities = 5;
std::string_view Name(Oddity oddity);  // "no_done", "bad_utf8", "usage_too_small", ...
std::optional<Oddity> OddityNamed(std::string_view name);

class Oddities {
 public:
  void Add(Oddity oddity) { bits_ |= Bit(oddity); }
  bool Has(Oddity oddity) const { return (bits_ & Bit(oddity)) != 0; }
  bool empty() const { return bits_ == 0; }
  bool operator==(const Oddities&) const = default;

 private:
  static std::uint8_t Bit(Oddity oddity) {
    return static_cast<std::uint8_t>(1u << static_cast<unsigned>(oddity));
  }
  std::uint8_t bits_ = 0;
};

struct RequestRecord {
  std::uint64_t id = 0;
  int level = 0;  // The LevelRecord that it belongs to; 0 in records that know concurrency alone.
  int concurrency = 0;  // Of that level; 0 in an open loop, whose load is a rate.
  Phase phase = Phase::kMeasured;
  bool streamed = true;
  Oddities oddities{};
  int agent = 0;           // The load machine that sent it; 0: the only one, or the first.
  int turn = 0;            // Of its conversation, from 1; 0 where there is none.
  std::string workload{};  // Its part of a mix, as --workload named it; "" where there is one only.

  std::int64_t scheduled_ns = kNever;   // When it was due. Closed loop: when its worker came free.
  std::int64_t sent_ns = kNever;        // Just before its first byte was written.
  std::int64_t first_byte_ns = kNever;  // First byte of the response's head.
  std::int64_t first_token_ns =
      kNever;  // First chunk with text in content, reasoning or a tool call.
  std::int64_t first_answer_ns = kNever;  // First chunk with text that is not reasoning.
  std::int64_t last_token_ns = kNever;    // Last chunk with text.
  std::int64_t end_ns = kNever;           // End of the response, or of the attempt.
  // Gap k lies between token chunks k and k + 1: one fewer than `chunks`. A gap of exactly 0 means
  // that both came out of one read: the later one's time is an upper bound.
  std::vector<std::int64_t> gaps_ns{};

  int chunks = 0;              // Events that carried text.
  int first_chunk_tokens = 0;  // Tokens in the first of them; see EstimateFirstChunkTokens().
  int reads = 0;               // Socket reads of the response's body.
  int shared_reads = 0;        // Those of them that held more than one token chunk.

  int http_status = 0;                   // 0: none arrived.
  std::int64_t retry_after_ms = kNever;  // From retry-after-ms, else retry-after.
  int utilization_permille = kUnknown;   // Of a deployment sold in PTU, as Azure's header tells it.
  std::int64_t server_queue_ns = kNever;  // Time that the request waited there, if it told.
  ErrorKind error = ErrorKind::kNone;
  std::string error_message{};  // For people; bounded by the driver; never holds a key.
  std::string finish_reason{};

  int input_tokens_wanted = 0;
  int output_tokens_wanted = 0;
  int input_tokens = kUnknown;   // As the server's usage says.
  int output_tokens = kUnknown;  // As the server's usage says.
  int cached_tokens = kUnknown;  // Part of input_tokens that a prefix cache served.
  // The same two as a tokenizer of the client's counts them; kUnknown without --tokenizer.
  int input_tokens_counted = kUnknown;
  int output_tokens_counted = kUnknown;
  std::int64_t prompt_bytes = 0;

  bool failed() const { return error != ErrorKind::kNone; }
  // Output tokens: the server's count, else the client's tokenizer's, else one per chunk, which
  // undercounts where chunks hold more.
  int OutputTokens() const {
    if (output_tokens != kUnknown) return output_tokens;
    return output_tokens_counted != kUnknown ? output_tokens_counted : chunks;
  }
  bool operator==(const RequestRecord&) const = default;
};

// Tokens in a reply's first chunk, where only the whole is known. One where there are as many
// chunks as tokens; the even share where the first chunk's part of the text agrees with it (servers
// that send a fixed number per chunk); else that part of the text (speculative decoding).
struct ReplyShape {
  int tokens = 0;
  int chunks = 0;
  std::int64_t first_chunk_bytes = 0;
  std::int64_t all_bytes = 0;
};
int EstimateFirstChunkTokens(const ReplyShape& shape);

// What a load level cost the client, written after the level's last request.
struct LevelRecord {
  int number = 0;         // From 1, within the run; 0 in records that know concurrency alone.
  int concurrency = 0;    // 0 in an open loop.
  double rate_per_s = 0;  // Of an open loop: requests due, a second. 0 in a closed loop.
  std::int64_t started_ns = 0;
  std::int64_t ended_ns = 0;
  std::int64_t client_cpu_ns = 0;  // Processor time of all driver threads within the level.
  int threads = 1;  // Driver threads; client_cpu_ns / (threads × time) is their load.
  // A search looked here with a few requests only: they say where to look, and judge nothing.
  bool scout = false;
  int repeats = 0;             // The number of the level whose load this one repeats; 0: none.
  bool cut = false;            // Its judge had seen enough: what was under way then was cancelled.
  std::int64_t scheduled = 0;  // Requests that the schedule held; 0 in a closed loop.
  std::int64_t unsent = 0;     // Those of them that were never sent: the run ended before.
  int in_flight_max = 0;       // Most requests under way at once.
  // How late the loops of the drivers were for a timer of every 10 ms: 0 where nobody looked.
  std::int64_t loop_lag_p99_ns = 0;
  std::int64_t loop_lag_max_ns = 0;
  bool operator==(const LevelRecord&) const = default;
};

// What was asked of the run. Holds no key and no header value.
struct RunSettings {
  std::string url{};    // Without user information and query.
  std::string model{};  // As sent; "" where the URL alone names the endpoint.
  // "closed_loop", or an open loop's: "constant", "poisson", "gamma", "ramp", "step", "replay".
  std::string mode = "closed_loop";
  std::vector<int> concurrency{};  // The levels asked for; empty: 1, 2, 4, 8 … while it pays.
  int requests_per_level = 0;      // 0: max(10, 4 × concurrency).
  int warmup_per_level = -1;  // Requests before the measured ones; -1: as many as the concurrency.
  int input_tokens = 0;
  int output_tokens = 0;
  bool streamed = true;
  std::int64_t timeout_ms = 0;
  int threads = 1;
  std::uint64_t seed = 0;
  std::uint64_t salt = 0;  // Makes this run's prompts differ from every other run's.
  std::string corpus{};    // "shipped", or the file's name.
  std::string budget{};    // As Budget::Parse() takes it; "" for none.
  // Unit of sale of the endpoint, in tokens/s of input and output; 0: not known.
  int throughput_chunk_size = 0;
  std::string command{};              // The command line, its keys replaced.
  std::vector<double> rates_per_s{};  // Open loop: the levels, or the steps or ends of a ramp.
  double burstiness = 0;              // Of gamma: 1 is Poisson, less is burstier. 0: not gamma.
  std::int64_t duration_ms = 0;       // Of each level; 0 where requests end it.
  std::int64_t warmup_ms = 0;         // At a level's begin, in place of warmup_per_level.
  std::int64_t cooldown_ms = 0;       // At its end.
  std::string workload{};             // What --workload said, or the data set; "" is the reference.
  std::string trace{};                // The trace replayed.
  bool salted = true;                 // Each prompt begins with text of its own.
  std::string tokenizer{};            // File name; "" where the server's usage alone counts.
  int in_flight_max = 0;              // Cap over the whole run; 0: none.
  std::int64_t tokens_max = 0;        // Cap on tokens spent; 0: none.
  int agents = 0;                     // Load machines beside this one.
  bool operator==(const RunSettings&) const = default;
};

// Where it ran.
struct Environment {
  std::string host_cpu{};  // Model name of the first processor.
  int host_cores = 0;      // Those that this process may use.
  std::string system{};    // Kernel name and release.
  std::string build_type{};
  std::string version{};
  bool operator==(const Environment&) const = default;
};

// What this machine's own measuring is worth, found against a server inside the program that knows
// the truth (`--self-test`). All zero where it was not run.
struct SelfTest {
  int streams = 0;
  std::int64_t samples = 0;            // Requests compared.
  std::int64_t ttft_error_p50_ns = 0;  // Absolute error of (first token − sent).
  std::int64_t ttft_error_p99_ns = 0;
  double ttft_bias_us = 0;              // Median of the signed error: late is positive.
  std::int64_t stamp_error_p50_ns = 0;  // Event stamped by the client − written by the server.
  std::int64_t stamp_error_p99_ns = 0;
  std::int64_t stamp_error_p999_ns = 0;
  double events_per_s = 0;           // Offered while the above was measured.
  double events_per_s_per_core = 0;  // What a core of this client could take: by processor time.
  double events_per_read = 0;
  bool operator==(const SelfTest&) const = default;
};

struct RunHeader {
  std::string started_at{};   // RFC 3339, UTC, with milliseconds.
  std::int64_t start_ns = 0;  // The same moment on this machine's monotonic clock.
  RunSettings settings{};
  Environment environment{};
  SelfTest self_test{};
  bool operator==(const RunHeader&) const = default;
};

// A whole records file.
struct RunRecords {
  RunHeader header{};
  std::vector<RequestRecord> requests{};
  std::vector<LevelRecord> levels{};
  bool truncated = false;  // The last line was cut: the run was killed while it wrote.
};

}  // namespace penstock::bench

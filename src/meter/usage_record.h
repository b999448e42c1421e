// UsageRecord: what one request used, and how it went: the unit of billing and of every report.
//
// One record per request, whichever way it ended: completed, refused, failed, left. Texts are
// views: of what the gateway holds while it writes, of the file's bytes while one reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "meter/request_end.h"

namespace penstock::meter {

// Unique among all requests of all servers; made by the server, never taken from a client, for it
// is what makes a record count once.
struct RequestId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  std::string ToString(std::string_view before = {}) const;  // `before`, then 32 hex digits.
  bool operator==(const RequestId&) const = default;
};

enum class Operation : std::uint8_t { kUnknown, kChat, kCompletions, kEmbeddings };
std::string_view ToWord(Operation operation);  // "unknown", "chat", "completions", "embeddings"
std::optional<Operation> OperationOf(std::string_view word);

// Where the token counts come from.
enum class UsageSource : std::uint8_t {
  kNone,       // Nothing reached a model: refused, failed before.
  kUpstream,   // The model server's own usage.
  kCounted,    // Output counted from the stream's events, input estimated: it was cut.
  kEstimated,  // (characters + 1) / 4: the model server told nothing.
};
std::string_view ToWord(UsageSource source);

struct UsageRecord {
  RequestId id;
  WallTime ended_at{};           // When the record was written: just before the last chunk.
  std::string_view endpoint;     // As the client named it; "" where it named none.
  std::string_view endpoint_id;  // "" where there is no such endpoint.
  std::string_view served_entity;
  std::string_view model;  // catalog.schema.model
  std::int64_t model_version = 0;
  std::string_view requester;          // Name of the key.
  std::string_view client_request_id;  // The client's own name for the request.
  std::string_view usage_context;      // A JSON object of strings, as the client sent it.
  // The endpoint that had no room and let the request go on to another; "" without spill-over. It
  // stands in the records of both, which makes two of one request.
  std::string_view spilled_from;
  Operation operation = Operation::kUnknown;
  RequestEnd end = RequestEnd::kCompleted;
  UsageSource source = UsageSource::kNone;
  bool stream = false;
  std::uint16_t status = 0;        // 499: the client left before there was one.
  std::uint64_t input_tokens = 0;  // Cached ones included.
  std::uint64_t cached_tokens = 0;
  std::uint64_t output_tokens = 0;
  std::uint64_t input_bytes = 0;  // UTF-8 bytes of text.
  std::uint64_t output_bytes = 0;
  std::uint64_t duration_us = 0;    // First byte of the request to the end.
  std::uint64_t queue_wait_us = 0;  // In our queue, before a replica was asked.
  std::optional<std::uint64_t> ttft_us;
  std::optional<std::uint64_t> tpot_ns;
  std::uint64_t cost_milli = 0;      // What it drew, in thousandths of a normalised token.
  std::uint64_t reserved_milli = 0;  // What admission set aside for it.
  // Code points of the texts that input_bytes and output_bytes count. Of records that were written
  // before there were these: the bytes.
  std::uint64_t input_characters = 0;
  std::uint64_t output_characters = 0;

  // Of the place that a request went on to.
  bool is_spillover() const { return !spilled_from.empty() && spilled_from != endpoint; }
  WallTime started_at() const {
    return ended_at - std::chrono::milliseconds(static_cast<std::int64_t>(duration_us / 1000));
  }
  bool operator==(const UsageRecord&) const = default;
};

// The longest texts that a record holds; longer ones are cut at a character's end, and a
// usage_context that is longer is left out, for half an object is none.
inline constexpr std::size_t kRecordTextBytesMax = 512;
inline constexpr std::size_t kUsageContextBytesMax = 4096;

// An endpoint's gauges over one minute, which no request tells. Written to the ledger as well, so
// that the series can be made again from it alone.
struct GaugeStat {
  std::uint64_t samples = 0, sum = 0, minimum = 0, maximum = 0;
  void Add(std::uint64_t value);
  void Merge(const GaugeStat& other);
  bool operator==(const GaugeStat&) const = default;
};
struct GaugeRecord {
  WallTime at{};  // Within the minute that it tells of.
  std::string_view endpoint;
  std::string_view model;
  std::int64_t model_version = 0;
  GaugeStat replicas_ready;
  GaugeStat replicas_total;
  GaugeStat queued;             // Requests that waited.
  GaugeStat running;            // Requests in flight.
  GaugeStat utilisation_milli;  // Of the contract, in thousandths: 1000 is all of it.
  GaugeStat provisioned_milli;  // Cost per second that the endpoint was provisioned for.
  bool operator==(const GaugeRecord&) const = default;
};

// Append the record's payload: a kind, a version, and the fields in the order above. A later
// version only adds fields at the end; a reader leaves out what it does not know.
void Encode(const UsageRecord& record, std::string& out);
void Encode(const GaugeRecord& record, std::string& out);

enum class RecordKind : std::uint8_t { kUsage = 1, kGauge = 2 };
std::optional<RecordKind> KindOf(std::string_view payload);  // None: of a newer version.
// Views into `payload`. Errors: kCorrupt.
Result<UsageRecord> DecodeUsage(std::string_view payload);
Result<GaugeRecord> DecodeGauge(std::string_view payload);

// Takes records. Called on the thread that serves the request; must not block for long.
class UsageSink {
 public:
  virtual ~UsageSink() = default;
  virtual void Record(const UsageRecord& record) = 0;
};

}  // namespace penstock::meter

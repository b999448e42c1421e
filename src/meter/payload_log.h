// PayloadLog: requests and answers of endpoints that opted in, as JSON lines: Databricks' inference
// table.
//
//   payloads/ENDPOINT.jsonl     being written
//   payloads/ENDPOINT.N.jsonl   older, N = 1 is the newest
//
// A record: request_date, databricks_request_id, client_request_id, request_time, status_code,
// sampling_fraction, execution_duration_ms, request, response, logging_error_codes,
// served_entity_id, requester. A stream's events are put together into the answer that they make.
// What looks like a key is blotted out.
//
// Best effort, and never in anybody's way: Add() takes a lock for a moment and drops the entry when
// the queue is full. A thread of its own writes.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::meter {

// Longer texts are left out, and the record says so.
inline constexpr std::size_t kPayloadTextBytesMax = std::size_t{1} << 20;

struct PayloadEntry {
  std::string endpoint;
  std::string request_id;
  std::string client_request_id;
  std::string served_entity;
  std::string requester;
  WallTime started_at{};
  std::int64_t duration_ms = 0;
  int status = 0;
  bool stream = false;
  std::string request;
  std::string response;  // JSON, or the bytes of an event stream.
  bool request_too_large = false;
  bool response_too_large = false;

  std::size_t bytes() const { return sizeof(*this) + request.size() + response.size(); }
};

class PayloadSink {
 public:
  virtual ~PayloadSink() = default;
  virtual void Add(PayloadEntry entry) = 0;  // Any thread.
};

struct PayloadLogSettings {
  std::size_t queue_bytes_max = std::size_t{64} << 20;
  std::uint64_t file_bytes_max = std::uint64_t{64} << 20;
  int files_max = 8;  // Of one endpoint, the present one included.
};

struct PayloadLogCounters {
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> dropped{0};  // The queue was full, or the disk.
};

class PayloadLog : public PayloadSink {
 public:
  explicit PayloadLog(std::string folder, PayloadLogSettings settings = {});
  ~PayloadLog() override;  // Writes what is queued.

  void Add(PayloadEntry entry) override;
  const PayloadLogCounters& counters() const { return counters_; }

 private:
  void Run();
  void Write(const PayloadEntry& entry);
  void Rotate(const std::string& path) const;

  std::string folder_;
  PayloadLogSettings settings_;
  PayloadLogCounters counters_;
  std::mutex mutex_;  // Guards what follows.
  std::condition_variable changed_;
  std::deque<PayloadEntry> queue_;
  std::size_t queue_bytes_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

// ---- Pure.

// Puts asterisks in the place of secrets: our keys ("psk_…"), OpenAI's manner ("sk-…"), and what
// follows "Bearer ".
std::string Redact(std::string_view text);

// The answer that a stream's chunks make: one chat.completion or text_completion as JSON; the
// stream itself where it is none.
std::string AggregateStream(std::string_view events);

// The entry as one line, newline included.
std::string ToJsonLine(const PayloadEntry& entry);

}  // namespace penstock::meter

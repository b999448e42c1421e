// Driver's exchange of one request with its server.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "bench/driver.h"
#include "bench/reply_reader.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kAnswerBytesMax = std::size_t{4} << 20;  // Of Post().

// How a request failed that got no answer's head.
ErrorKind KindOf(const Error& error, const http::SendReport& report) {
  if (error.code == Code::kCancelled) return ErrorKind::kCancelled;
  if (error.code == Code::kDeadline) return ErrorKind::kTimeout;
  if (!report.sent) return ErrorKind::kConnect;
  return report.answered ? ErrorKind::kMalformed : ErrorKind::kTruncated;
}

// How reading a body failed.
ErrorKind KindOf(const Error& error) {
  if (error.code == Code::kCancelled) return ErrorKind::kCancelled;
  if (error.code == Code::kDeadline) return ErrorKind::kTimeout;
  return ErrorKind::kTruncated;
}

}  // namespace

http::Request Driver::Describe(const std::string& target, const std::string& body,
                               std::span<const http::Field> fields) const {
  return {.method = "POST",
          .target = target,
          .content_type = "application/json",
          .body = body,
          .fields = fields};
}

// A server may repeat in its answer what it was sent.
void Driver::Scrub(RequestRecord& record) const {
  const auto hide = [&record](const std::string& secret) {
    if (secret.size() < 4) return;
    for (std::size_t at = record.error_message.find(secret); at != std::string::npos;
         at = record.error_message.find(secret, at)) {
      record.error_message.replace(at, secret.size(), "***");
    }
  };
  if (record.error_message.empty()) return;
  hide(settings_.api_key);
  for (const auto& [name, value] : settings_.headers) hide(value);
}

io::Task<std::unique_ptr<http::ClientResponse>> Driver::Open(std::string body,
                                                             RequestRecord& record,
                                                             Deadline deadline) {
  record.streamed = settings_.streamed;
  http::SendReport report;
  // By which the server's log and the records can be brought together.
  const std::string number = fmt::format("bench-{}", record.id);
  std::vector<http::Field> fields = fields_;
  fields.push_back({"x-request-id", number});
  auto response = co_await client_.Send(
      settings_.origin, Describe(settings_.endpoint.target, body, fields), deadline, &report);
  if (report.sent) record.sent_ns = Since(report.sent_at);
  if (response) co_return std::move(*response);
  record.error = KindOf(response.error(), report);
  record.error_message = response.error().message.substr(0, kErrorMessageBytesMax);
  record.end_ns = Since(loop_.Now());
  co_return nullptr;
}

io::Task<void> Driver::ReadReply(http::ClientResponse& response, RequestRecord& record,
                                 std::string* text, Deadline deadline) {
  ReplyReader reader(record, text);
  const auto& fields = response.head().fields;
  reader.Head(response.status(), fields.Get("content-type"), Since(response.received_at()));
  reader.Head({.retry_after_ms = fields.Get("retry-after-ms"),
               .retry_after = fields.Get("retry-after"),
               .queue_time = fields.Get("x-queue-time")});
  response.ReleaseHead();
  io::Companions companions;
  companions.Add(&reader, sizeof reader);
  companions.Add(&record, sizeof record);
  response.SetCompanions(&companions);
  const Duration stall = settings_.stall_timeout;
  while (!response.ended()) {
    const Deadline stalled =
        stall.count() > 0 ? Deadline::After(response.received_at(), stall) : Deadline::Never();
    const auto piece = co_await response.Next(Earlier(stalled, deadline));
    if (!piece) {
      response.SetCompanions(nullptr);
      const bool stood = piece.error().code == Code::kDeadline && stalled < deadline;
      reader.End(
          Since(loop_.Now()), stood ? ErrorKind::kStalled : KindOf(piece.error()),
          stood ? fmt::format("nothing came for {:.0f} s", Seconds(stall)) : piece.error().message);
      co_return;
    }
    reader.Read(piece->payload, Since(response.received_at()));
    token_chunks_.store(token_chunks_.load(std::memory_order_relaxed) + reader.chunks_in_read(),
                        std::memory_order_relaxed);
  }
  reader.End(Since(response.received_at()), ErrorKind::kNone, "");
}

io::Task<Result<std::string>> Driver::Post(const std::string& target, const std::string& body) {
  const Deadline deadline = Deadline::After(loop_.Now(), settings_.timeout);
  auto response =
      co_await client_.Send(settings_.origin, Describe(target, body, fields_), deadline);
  if (!response) co_return Fail(response.error());
  const int status = (*response)->status();
  auto answer = co_await (*response)->ReadAll(kAnswerBytesMax, deadline);
  if (!answer) co_return Fail(answer.error());
  if (status != 200) {
    co_return Fail(Code::kUpstream, fmt::format("{} answered {}", target, status));
  }
  co_return std::move(*answer);
}

}  // namespace penstock::bench

// Driver's exchange of one request with its server.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "bench/drive/driver_reading.h"

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
                                 Deadline deadline) {
  Reading reading(*this, response, record, nullptr, deadline);
  while (reading.goes_on()) reading.Take(co_await reading.Next());
}

Driver::Reading::Reading(Driver& driver, http::ClientResponse& response, RequestRecord& record,
                         std::string* text, Deadline deadline)
    : driver_(driver),
      response_(response),
      record_(record),
      reader_(record, text),
      deadline_(deadline) {
  const auto& fields = response.head().fields;
  reader_.Head(response.status(), fields.Get("content-type"), driver.Since(response.received_at()));
  reader_.Head({.retry_after_ms = fields.Get("retry-after-ms"),
                .retry_after = fields.Get("retry-after"),
                .queue_time = fields.Get("x-queue-time"),
                .utilization = fields.Get("azure-openai-deployment-utilization")});
  response.ReleaseHead();
  companions_.Add(&reader_, sizeof reader_);
  companions_.Add(&record, sizeof record);
  response.SetCompanions(&companions_);
  EndIfComplete();
}

http::ClientResponse::NextOp Driver::Reading::Next() {
  return response_.Next(Earlier(StalledAt(), deadline_));
}

void Driver::Reading::Take(const Result<http::BodyPiece>& piece) {
  if (!piece) return EndBroken(piece.error());
  const bool first = record_.chunks == 0;
  reader_.Read(piece->payload, driver_.Since(response_.received_at()));
  if (first && record_.chunks > 0 && !response_.ended()) {
    companions_.Add(reader_.memory().data(), reader_.memory().size());
  }
  std::atomic<std::int64_t>& chunks = driver_.token_chunks_;
  chunks.store(chunks.load(std::memory_order_relaxed) + reader_.chunks_in_read(),
               std::memory_order_relaxed);
  EndIfComplete();
}

// When the answer counts as stalled.
Deadline Driver::Reading::StalledAt() const {
  const Duration stall = driver_.settings_.stall_timeout;
  return stall.count() > 0 ? Deadline::After(response_.received_at(), stall) : Deadline::Never();
}

void Driver::Reading::EndBroken(const Error& error) {
  response_.SetCompanions(nullptr);
  const bool stood = error.code == Code::kDeadline && StalledAt() < deadline_;
  const double stall_s = Seconds(driver_.settings_.stall_timeout);
  reader_.End(driver_.Since(driver_.loop_.Now()), stood ? ErrorKind::kStalled : KindOf(error),
              stood ? fmt::format("nothing came for {:.0f} s", stall_s) : error.message);
  ended_ = true;
}

void Driver::Reading::EndIfComplete() {
  if (!response_.ended()) return;
  reader_.End(driver_.Since(response_.received_at()), ErrorKind::kNone, "");
  ended_ = true;
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

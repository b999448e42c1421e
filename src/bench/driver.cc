#include "bench/driver.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "bench/reply_reader.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kAnswerBytesMax = std::size_t{4} << 20;  // Of Post().

http::ClientOptions ClientOptionsFor(const DriverSettings& settings) {
  http::ClientOptions options;
  // Every worker's connection may be idle at the same moment, between two levels.
  options.limits.idle_per_origin_max = static_cast<std::size_t>(std::max(settings.workers_max, 1));
  options.user_agent = "penstock-bench";
  options.receive_timestamps = true;
  return options;
}

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

std::optional<Tickets::Ticket> Tickets::Take() {
  const int number = taken_.fetch_add(1, std::memory_order_relaxed);
  if (number >= total_) return std::nullopt;
  return Ticket{.id = first_id_ + static_cast<std::uint64_t>(number),
                .phase = number < warmup_ ? Phase::kWarmup : Phase::kMeasured};
}

Driver::Driver(io::Loop& loop, DriverSettings settings, PromptPool pool, OnRecord on_record)
    : loop_(loop),
      settings_(std::move(settings)),
      pool_(std::move(pool)),
      on_record_(std::move(on_record)),
      authorization_("Bearer " + settings_.api_key),
      client_(loop, ClientOptionsFor(settings_)) {
  if (!settings_.api_key.empty()) fields_.push_back({"authorization", authorization_});
}

io::Task<void> Driver::RunLevel(Tickets& tickets, int concurrency, int workers) {
  io::TaskScope scope(loop_);
  running_ = &scope;
  for (int worker = 0; worker < workers && !stopped_; ++worker) {
    scope.Spawn("bench worker", Work(*this, tickets, concurrency));
  }
  co_await scope.Join();
  running_ = nullptr;
}

io::Task<void> Driver::RunStoppable(io::Task<void> task) {
  io::TaskScope scope(loop_);
  running_ = &scope;
  if (!stopped_) scope.Spawn("bench task", std::move(task));
  co_await scope.Join();
  running_ = nullptr;
}

void Driver::Cut() {
  if (running_ != nullptr) running_->Stop();
}

void Driver::Stop() {
  stopped_ = true;
  if (running_ != nullptr) running_->Stop();
}

io::Task<void> Driver::Work(Driver& driver, Tickets& tickets, int concurrency) {
  while (!driver.stopped_) {
    const auto ticket = tickets.Take();
    if (!ticket) break;
    RequestRecord record;
    record.id = ticket->id;
    record.concurrency = concurrency;
    record.phase = ticket->phase;
    // A closed loop's request is due when its worker comes free: now.
    record.scheduled_ns = driver.Since(driver.loop_.Now());
    const DriverSettings& settings = driver.settings_;
    Prompt prompt = driver.pool_.Make(ticket->id);
    std::string body = RequestBody(settings.endpoint.dialect,
                                   {.model = settings.model,
                                    .output_tokens = settings.output_tokens,
                                    .streamed = settings.streamed,
                                    .enforcement = settings.enforcement},
                                   prompt.text);
    record.prompt_bytes = std::ssize(prompt.text);
    prompt.text = {};  // The body holds it; a stream may run for long.
    record.output_tokens_wanted = settings.output_tokens;
    co_await driver.Exchange(std::move(body), record);
    if (record.input_tokens != kUnknown) driver.pool_.Observe(prompt, record.input_tokens);
    driver.on_record_(std::move(record));
  }
}

io::Task<RequestRecord> Driver::Ask(std::uint64_t id, const Prompt& prompt, int output_tokens) {
  RequestRecord record;
  record.id = id;
  record.concurrency = 1;
  record.phase = Phase::kFit;
  record.scheduled_ns = Since(loop_.Now());
  record.prompt_bytes = std::ssize(prompt.text);
  record.output_tokens_wanted = output_tokens;
  std::string body = RequestBody(settings_.endpoint.dialect,
                                 {.model = settings_.model,
                                  .output_tokens = output_tokens,
                                  .streamed = settings_.streamed,
                                  .enforcement = settings_.enforcement},
                                 prompt.text);
  co_await Exchange(std::move(body), record);
  on_record_(record);
  co_return record;
}

http::Request Driver::Describe(const std::string& target, const std::string& body) const {
  return {.method = "POST",
          .target = target,
          .content_type = "application/json",
          .body = body,
          .fields = fields_};
}

io::Task<void> Driver::Exchange(std::string body, RequestRecord& record) {
  record.streamed = settings_.streamed;
  record.input_tokens_wanted = settings_.input_tokens;
  const Deadline deadline = Deadline::After(loop_.Now(), settings_.timeout);
  http::SendReport report;
  auto response = co_await client_.Send(settings_.origin, Describe(settings_.endpoint.target, body),
                                        deadline, &report);
  if (report.sent) record.sent_ns = Since(report.sent_at);
  if (!response) {
    record.error = KindOf(response.error(), report);
    record.error_message = response.error().message.substr(0, kErrorMessageBytesMax);
    record.end_ns = Since(loop_.Now());
    co_return;
  }
  std::string().swap(body);
  co_await ReadReply(**response, record, deadline);
}

io::Task<void> Driver::ReadReply(http::ClientResponse& response, RequestRecord& record,
                                 Deadline deadline) {
  ReplyReader reader(record);
  reader.Head(response.status(), response.head().fields.Get("content-type"),
              Since(response.received_at()));
  const auto& fields = response.head().fields;
  reader.Head({.retry_after_ms = fields.Get("retry-after-ms"),
               .retry_after = fields.Get("retry-after"),
               .queue_time = fields.Get("x-queue-time")});
  response.ReleaseHead();
  io::Companions companions;
  companions.Add(&reader, sizeof reader);
  companions.Add(&record, sizeof record);
  response.SetCompanions(&companions);
  while (!response.ended()) {
    const auto piece = co_await response.Next(deadline);
    if (!piece) {
      response.SetCompanions(nullptr);
      reader.End(Since(loop_.Now()), KindOf(piece.error()), piece.error().message);
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
  auto response = co_await client_.Send(settings_.origin, Describe(target, body), deadline);
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

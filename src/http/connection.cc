// The life of an accepted connection.
#include "http/connection.h"

#include <exception>
#include <string>
#include <utility>

#include "base/log.h"
#include "io/task_scope.h"

namespace penstock::http {

namespace {
// A quiet keep-alive connection may keep so much of its buffer.
constexpr std::size_t kKeptBuffer = 2 * 1024;

Refusal RefusalOf(const Error& error) {
  switch (error.code) {
    case Code::kHeadTooLarge:
      return Refusal::kHeadTooLarge;
    case Code::kRequestTimeout:
      return Refusal::kHeadWait;
    case Code::kTooLarge:
      return Refusal::kPipelinedBytes;
    default:
      return Refusal::kMalformed;
  }
}
}  // namespace

// Its frame lives as long as a stream, so all but the handler is done in frames of their own.
io::Task<void> Connection::Run(Server& server, std::unique_ptr<io::Stream> stream) {
  Connection self(server, std::move(stream), co_await io::ThisTask());
  while (co_await self.NextHead()) {
    std::exception_ptr failure;
    try {
      io::Task<void> work = server.handler_(self.exchange_);
      do {
        co_await std::move(work);
      } while (self.exchange_.TakeRest(work));
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure || self.Unanswered()) co_await self.AnswerFailure(std::move(failure));
    const Next next = self.Settle();
    if (next != Next::kRequest && !co_await self.GoOn(next)) co_return;
  }
}

Connection::Connection(Server& server, std::unique_ptr<io::Stream> stream, io::TaskState& task)
    : server_(server), stream_(std::move(stream)), task_(task), exchange_(*this) {
  next_ = server_.first_;
  link_ = &server_.first_;
  if (next_ != nullptr) next_->link_ = &next_;
  server_.first_ = this;
  server_.Opened();
  SetIdle(true);
}

Connection::~Connection() {
  SetIdle(false);
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  server_.Closed();
}

void Connection::SetIdle(bool idle) {
  if (idle == idle_) return;
  idle_ = idle;
  if (idle) {
    server_.counters_.connections_idle.Add(1);
  } else {
    server_.counters_.connections_idle.Subtract(1);
  }
}

// Waits for a whole head. False: there is none, and the connection ends.
io::Task<bool> Connection::NextHead() {
  auto ready = TryHead();
  while (ready && !*ready) {
    if (idle_ && server_.draining_) co_return false;
    ready = TakeHeadBytes(co_await stream_->Read(server_.loop_.scratch(), HeadDeadline()));
  }
  if (ready) co_return true;
  co_await Refuse(std::move(ready).error());
  co_return false;
}

// Does what is left after an exchange. True: another request may come.
io::Task<bool> Connection::GoOn(Next next) {
  if (next == Next::kDrainBody) next = co_await DrainBody() ? Settle() : Next::kLinger;
  if (next == Next::kLinger) co_await Linger();
  if (next == Next::kRefuse) co_await Refuse(TooEarly());
  co_return next == Next::kRequest;
}

// A head has one deadline from its first byte on; between requests another holds.
Deadline Connection::HeadDeadline() {
  const auto& limits = server_.limits_;
  if (in_.empty()) return Deadline::After(server_.loop_.RecentNow(), limits.idle_max);
  return Deadline::After(head_started_, limits.head_wait_max);
}

Result<bool> Connection::TakeHeadBytes(Result<std::size_t> bytes) {
  if (!bytes) {
    if (bytes.error().code != Code::kDeadline || in_.empty()) {
      return Fail(Code::kClosed, std::move(bytes.error().message));
    }
    return Fail(Code::kRequestTimeout,
                "head: not complete after " +
                    std::to_string(server_.limits_.head_wait_max.count() / 1'000'000) + " ms",
                "head");
  }
  if (*bytes == 0) {
    if (in_.empty()) return Fail(Code::kClosed, "the client closed the connection");
    return Fail(Code::kInvalidArgument, "head: the connection ended within it", "head");
  }
  server_.counters_.received_bytes.Add(*bytes);
  if (in_.empty()) head_started_ = stream_->received_at();
  in_.Append({server_.loop_.scratch().data(), *bytes});
  return TryHead();
}

Result<bool> Connection::TryHead() {
  // One empty line in front of a request is some clients' habit.
  if (!skipped_line_ && in_.view().starts_with("\r\n")) {
    in_.DropFront(2);
    skipped_line_ = true;
  }
  if (in_.empty() || (!skipped_line_ && in_.view() == "\r")) return false;
  SetIdle(false);
  auto head_bytes = scanner_.Scan(in_.view(), server_.limits_.head);
  if (!head_bytes) return Fail(std::move(head_bytes).error());
  if (*head_bytes == 0) return false;
  if (auto begun = BeginRequest(*head_bytes); !begun) return Fail(std::move(begun).error());
  return true;
}

Status Connection::BeginRequest(std::size_t head_bytes) {
  exchange_.Reset(head_started_);
  if (!exchange_.head_) exchange_.head_ = std::make_unique<RequestHead>();
  RequestHead& head = *exchange_.head_;
  auto parsed = ParseRequestHead(in_.view().substr(0, head_bytes), server_.limits_.head, head);
  if (!parsed) return parsed;
  ++requests_;
  taken_ = head_bytes;
  body_kind_ = head.body;
  body_left_ = head.content_length;
  body_whole_ = head.body == BodyKind::kNone;
  body_view_ = {};
  keep_alive_ = head.keep_alive;
  expect_continue_ = head.expect_continue && Unread().empty();
  exchange_.minor_version_ = head.minor_version;
  exchange_.head_only_ = head.method == "HEAD";
  return {};
}

// True where the handler ended without an answer though nothing hindered it.
bool Connection::Unanswered() const {
  return exchange_.state_ == Exchange::State::kUnanswered && !exchange_.broken_ &&
         !task_.cancelled();
}

io::Task<void> Connection::AnswerFailure(std::exception_ptr failure) {
  server_.counters_.handler_failures.Add(1);
  must_close_ = true;
  try {
    if (failure) std::rethrow_exception(failure);
    Log().error("http: a handler left its exchange unanswered");
  } catch (const std::exception& exception) {
    Log().error("http: a handler failed: {}", exception.what());
  } catch (...) {
    Log().error("http: a handler failed with a foreign exception");
  }
  if (exchange_.head_sent_ || exchange_.broken_) co_return;
  static_cast<void>(co_await exchange_.RespondError(
      {Code::kInternal, "the request failed inside the server", {}}));
}

// What follows an exchange. kRequest has made everything ready for it.
Connection::Next Connection::Settle() {
  stream_->CancelOnHangup(nullptr);
  if (exchange_.finished()) task_.GoOn();  // The handler alone was to end.
  if (!exchange_.finished() || exchange_.broken_ || task_.cancelled()) return Next::kClose;
  if (exchange_.closes_ || WillClose()) return Next::kLinger;
  if (!body_whole_) return Next::kDrainBody;
  if (Early() > server_.limits_.pipelined_bytes_max) return Next::kRefuse;
  PrepareNext();
  return Next::kRequest;
}

Error Connection::TooEarly() const {
  return {Code::kTooLarge,
          "connection: " + std::to_string(Early()) +
              " bytes came before their turn, the limit is " +
              std::to_string(server_.limits_.pipelined_bytes_max),
          "connection"};
}

void Connection::PrepareNext() {
  in_.DropFront(taken_);
  taken_ = 0;
  if (body_) in_.Append(body_->later.view());
  body_.reset();
  if (in_.empty() && in_.capacity() > kKeptBuffer) in_.Release();
  scanner_.Reset();
  skipped_line_ = false;
  if (in_.empty()) {
    SetIdle(true);
  } else {
    head_started_ = server_.loop_.Now();
  }
}

bool Connection::WillClose() const {
  const auto& limits = server_.limits_;
  if (!keep_alive_ || must_close_ || server_.draining_) return true;
  if (limits.requests_per_connection_max != 0 && requests_ >= limits.requests_per_connection_max) {
    return true;
  }
  if (body_whole_) return false;
  // A client that was not told to go on will not send the body: nobody could tell what comes next.
  if (expect_continue_) return true;
  return body_kind_ == BodyKind::kLength &&
         body_left_ > Unread().size() + limits.unread_body_bytes_max;
}

Deadline Connection::WriteDeadline() const {
  return Deadline::After(server_.loop_.RecentNow(), server_.limits_.write_stall_max);
}

io::Task<void> Connection::Refuse(Error error) {
  if (error.code == Code::kClosed || error.code == Code::kCancelled) co_return;
  server_.Count(RefusalOf(error));
  must_close_ = true;
  exchange_.Reset(head_started_);
  // What was asked is not known: an answer to HEAD with a body is better than none to GET.
  if (co_await exchange_.RespondError(error)) co_await Linger();
}

io::Task<void> Connection::Linger() {
  stream_->ShutdownWrite();
  const bool clean = body_whole_ && !must_close_ && Unread().empty() && !stream_->MayHaveInput();
  if (clean || stream_->hung_up()) co_return;
  const Deadline deadline = Deadline::After(server_.loop_.Now(), server_.limits_.linger_max);
  for (;;) {
    const auto bytes = co_await stream_->Read(server_.loop_.scratch(), deadline);
    if (!bytes || *bytes == 0 || deadline.Passed(server_.loop_.Now())) co_return;
  }
}

}  // namespace penstock::http

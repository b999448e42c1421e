// One request and its answer.
#include "http/exchange.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "http/append_field.h"
#include "http/characters.h"
#include "http/chunked.h"
#include "http/connection.h"
#include "http/error_answer.h"
#include "http/status_line.h"

namespace penstock::http {

namespace {

void AppendNumber(std::uint64_t number, std::string& to) {
  char digits[20];
  const auto end = std::to_chars(std::begin(digits), std::end(digits), number).ptr;
  to.append(digits, static_cast<std::size_t>(end - digits));
}

// A value from elsewhere must not end the field or begin another.
void AppendSafely(std::string_view name, std::string_view value, std::string& to) {
  const std::size_t start = to.size() + name.size() + 2;
  AppendField(name, value, to);
  if (HoldsControl(value)) {
    const auto from = to.begin() + static_cast<std::ptrdiff_t>(start);
    std::replace_if(from, from + static_cast<std::ptrdiff_t>(value.size()), IsControl, ' ');
  }
}

bool Bodiless(int status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

// ---- SendOp.

SendOp::SendOp(Exchange& exchange, std::string_view head, std::string_view body)
    : exchange_(exchange),
      bytes_(head.size() + body.size()),
      skipped_(false),
      write_(exchange.connection_.stream_->WriteWithin(
          head, body, exchange.connection_.server_.limits_.write_stall_max)) {}

SendOp::SendOp(Exchange& exchange, Skip)
    : exchange_(exchange),
      bytes_(0),
      skipped_(true),
      write_(exchange.connection_.stream_->Write({}, Deadline::Never())) {}

io::Unsent SendOp::TakeUnsent() {
  io::Unsent unsent = write_.TakeUnsent();
  exchange_.connection_.server_.counters_.sent_bytes.Add(bytes_ - unsent.size);
  return unsent;
}

Status SendOp::await_resume() {
  Server& server = exchange_.connection_.server_;
  if (skipped_) {
    if (!exchange_.broken_) return {};
    return Fail(
        exchange_.late_ ? Code::kInternal : Code::kClosed,
        exchange_.late_ ? "send: an answer was begun before" : "send: the connection is cut");
  }
  Status sent = write_.await_resume();
  if (sent) {
    server.counters_.sent_bytes.Add(bytes_);
    return sent;
  }
  exchange_.broken_ = true;
  if (sent.error().code == Code::kDeadline) server.Count(Refusal::kWriteStall);
  return sent;
}

// ---- The request.

const RequestHead Exchange::kNoHead;

io::Address Exchange::peer() const { return connection_.stream_->peer(); }

io::Task<Result<std::string_view>> Exchange::ReadBody(std::size_t bytes_max) {
  return connection_.ReadBody(bytes_max);
}

void Exchange::ReleaseRequest() { connection_.ReleaseRequest(); }

void Exchange::CancelWhenPeerGone() { connection_.stream_->CancelOnHangup(&connection_.task_); }

void Exchange::CancelHandler() { connection_.task_.Interrupt(); }

io::Shield Exchange::ShieldHandler() { return io::Shield(connection_.task_); }

void Exchange::AddCompanions(io::Companions& companions) const {
  constexpr std::size_t kStreamBytes = 192;  // Of its implementation, about.
  companions.Add(this, sizeof *this);
  companions.Add(&connection_.stream_, sizeof connection_.stream_);
  companions.Add(connection_.stream_.get(), kStreamBytes);
}

bool Exchange::TakeRest(io::Task<void>& work) {
  const io::Task<void> ended = std::move(work);
  work = std::move(rest_);
  return static_cast<bool>(work);
}

void Exchange::Reset(TimePoint arrived_at) {
  rest_ = {};
  held_.clear();
  arrived_at_ = arrived_at;
  status_ = 0;
  minor_version_ = 1;
  state_ = State::kUnanswered;
  head_only_ = chunked_ = head_sent_ = closes_ = broken_ = late_ = false;
}

// ---- The answer.

// Whether an answer may (still) be begun.
bool Exchange::MayStart() {
  if (head_sent_ && !broken_) {
    Log().error("http: a handler began a second answer");
    broken_ = late_ = true;
  }
  return !broken_;
}

void Exchange::AppendHead(const Start& start, const FieldList& fields, std::string& to) {
  status_ = start.status;
  closes_ = connection_.WillClose() || start.body == BodyKind::kUntilClose;
  to += "HTTP/1.1 ";
  AppendNumber(static_cast<std::uint64_t>(start.status), to);
  to.append(" ").append(ReasonOf(start.status)).append("\r\ndate: ");
  to.append(connection_.server_.Date()).append("\r\n");
  if (!start.content_type.empty()) AppendSafely("content-type", start.content_type, to);
  if (start.body == BodyKind::kLength) {
    to += "content-length: ";
    AppendNumber(start.content_length, to);
    to += "\r\n";
  } else if (start.body == BodyKind::kChunked) {
    to += "transfer-encoding: chunked\r\n";
  }
  if (closes_) {
    to += "connection: close\r\n";
  } else if (minor_version_ == 0) {
    to += "connection: keep-alive\r\n";
  }
  for (const Field& field : fields) AppendSafely(field.name, field.value, to);
  to += "\r\n";
}

SendOp Exchange::Send(std::string_view head, std::string_view body) {
  if (!head_sent_) {
    head_sent_ = true;
    const auto status_class = static_cast<std::size_t>(std::clamp(status_ / 100, 0, 5));
    connection_.server_.counters_.responses[status_class].Add(1);
  }
  return SendOp(*this, head, body);
}

SendOp Exchange::Respond(int status, std::string_view content_type, std::string_view body,
                         FieldList fields) {
  if (!MayStart()) return SendOp(*this, SendOp::Skip());
  held_.clear();
  std::string& out = connection_.server_.Out();
  const bool bodiless = Bodiless(status);
  AppendHead({.status = status,
              .content_type = content_type,
              .body = bodiless ? BodyKind::kNone : BodyKind::kLength,
              .content_length = body.size()},
             fields, out);
  state_ = State::kFinished;
  return Send(out, bodiless || head_only_ ? std::string_view() : body);
}

SendOp Exchange::RespondError(const Error& error, FieldList fields) {
  std::string& body = connection_.server_.error_body_;
  body.clear();
  AppendErrorBody(error, body);
  return Respond(Traits(error.code).http_status, "application/json", body, fields);
}

void Exchange::HoldHead(State state, const Start& start, const FieldList& fields) {
  if (!MayStart()) return;
  held_.clear();
  AppendHead(start, fields, held_);
  state_ = state;
}

void Exchange::StartStream(int status, std::string_view content_type, FieldList fields) {
  // HTTP/1.0 has no chunks: the end of the connection ends the answer.
  const bool bodiless = Bodiless(status);
  chunked_ = minor_version_ >= 1 && !bodiless;
  HoldHead(State::kStream,
           {.status = status,
            .content_type = content_type,
            .body = bodiless   ? BodyKind::kNone
                    : chunked_ ? BodyKind::kChunked
                               : BodyKind::kUntilClose,
            .content_length = 0},
           fields);
  head_only_ = head_only_ || bodiless;
}

void Exchange::StartRaw(const Raw& raw, FieldList fields) {
  HoldHead(State::kRaw,
           {.status = raw.status,
            .content_type = raw.content_type,
            .body = raw.body,
            .content_length = raw.content_length},
           fields);
  head_only_ = head_only_ || raw.body == BodyKind::kNone;
}

// Moves the held head, if any, to where an answer is put together.
std::string& Exchange::TakeHeld() {
  std::string& out = connection_.server_.Out();
  if (!held_.empty()) {
    out.append(held_);
    std::string().swap(held_);
  }
  return out;
}

SendOp Exchange::SendFramed(std::string_view data, bool last) {
  if (broken_) return SendOp(*this, SendOp::Skip());
  CHECK(state_ == State::kStream, "a chunk outside a stream");
  std::string& out = TakeHeld();
  if (last) state_ = State::kFinished;
  if (head_only_) data = {};
  if (chunked_ && !head_only_) {
    if (!data.empty()) {
      AppendChunkSize(data.size(), out);
      out.append(data).append("\r\n");
    }
    if (last) out += "0\r\n\r\n";
    data = {};
  }
  if (out.empty() && data.empty()) return SendOp(*this, SendOp::Skip());
  return Send(out, data);
}

SendOp Exchange::WriteChunk(std::string_view data) { return SendFramed(data, false); }

SendOp Exchange::Finish(std::string_view data) { return SendFramed(data, true); }

SendOp Exchange::SendRaw(std::string_view piece, bool last) {
  if (broken_) return SendOp(*this, SendOp::Skip());
  CHECK(state_ == State::kRaw, "a raw piece outside a raw answer");
  if (last) state_ = State::kFinished;
  if (head_only_) piece = {};
  if (held_.empty()) {
    if (piece.empty()) return SendOp(*this, SendOp::Skip());
    return Send(piece, {});
  }
  return Send(TakeHeld(), piece);
}

SendOp Exchange::WriteRaw(std::string_view piece) { return SendRaw(piece, false); }

SendOp Exchange::FinishRaw(std::string_view piece) { return SendRaw(piece, true); }

SendOp Exchange::SendRest(std::string_view rest) {
  return broken_ ? SendOp(*this, SendOp::Skip()) : SendOp(*this, rest, {});
}

SendOp Exchange::FinishEither(std::string_view data) {
  if (state_ != State::kRaw) return Finish(data);
  std::string last;  // Copied by the write where the kernel does not take it at once.
  AppendChunkSize(data.size(), last);
  last.append(data).append("\r\n0\r\n\r\n");
  std::string& out = TakeHeld();
  out += last;
  state_ = State::kFinished;
  return broken_ ? SendOp(*this, SendOp::Skip()) : Send(out, {});
}

}  // namespace penstock::http

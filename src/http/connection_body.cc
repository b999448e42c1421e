// A request's body: read where a handler wants it, drained where it does not.
#include <algorithm>
#include <string>
#include <utility>

#include "http/connection.h"

namespace penstock::http {

namespace {
// A body's buffer grows with what has come, not with what was announced.
constexpr std::size_t kBodyStep = 64 * 1024;
}  // namespace

std::unexpected<Error> Connection::BodyFailed(Refusal refusal, Error error) {
  server_.Count(refusal);
  must_close_ = true;
  body_failed_ = true;
  error.field = "body";
  return Fail(std::move(error));
}

std::unexpected<Error> Connection::ReadFailed(const Result<std::size_t>& bytes,
                                              std::size_t so_far) {
  const std::string got = std::to_string(so_far);
  must_close_ = true;
  body_failed_ = true;
  if (bytes) {
    return BodyFailed(Refusal::kBodyMalformed,
                      {Code::kInvalidArgument,
                       "body: the connection ended within it, after " + got + " bytes",
                       {}});
  }
  if (bytes.error().code != Code::kDeadline) return Fail(bytes.error());
  const auto& limits = server_.limits_;
  return BodyFailed(Refusal::kBodyWait,
                    {Code::kRequestTimeout,
                     "body: too slow after " + got + " bytes, the limit is " +
                         std::to_string(limits.body_progress_bytes_min) + " bytes in " +
                         std::to_string(limits.body_progress_wait_max.count() / 1'000'000) + " ms",
                     {}});
}

Connection::Body& Connection::body() {
  if (!body_) body_ = std::make_unique<Body>();
  return *body_;
}

void Connection::StartProgress() {
  body().progress_bytes = 0;
  body().progress_deadline =
      Deadline::After(server_.loop_.RecentNow(), server_.limits_.body_progress_wait_max);
}

void Connection::NoteProgress(std::size_t bytes) {
  server_.counters_.received_bytes.Add(bytes);
  body().progress_bytes += bytes;
  if (body().progress_bytes >= server_.limits_.body_progress_bytes_min) StartProgress();
}

Result<std::size_t> Connection::CheckBody(std::size_t bytes_max) {
  if (body_failed_) return Fail(Code::kClosed, "body: reading it failed before", "body");
  const std::size_t server_max = server_.limits_.body_bytes_max;
  const std::size_t limit = bytes_max == 0 ? server_max : std::min(bytes_max, server_max);
  const std::uint64_t known = body_whole_                       ? body_view_.size()
                              : body_kind_ == BodyKind::kLength ? body_left_
                                                                : 0;
  if (known <= limit) return limit;
  return BodyFailed(Refusal::kBodyTooLarge, {Code::kTooLarge,
                                             "body: " + std::to_string(known) +
                                                 " bytes, the limit is " + std::to_string(limit),
                                             {}});
}

io::Task<Result<std::string_view>> Connection::ReadBody(std::size_t bytes_max) {
  const auto limit = CheckBody(bytes_max);
  if (!limit) co_return Fail(limit.error());
  if (body_whole_) co_return body_view_;
  if (body_kind_ == BodyKind::kLength && Unread().size() >= body_left_) {
    body_view_ = Unread().substr(0, static_cast<std::size_t>(body_left_));
    taken_ += body_view_.size();
    body_left_ = 0;
    body_whole_ = true;
    co_return body_view_;
  }
  if (std::exchange(expect_continue_, false)) {
    if (const auto told = co_await SayContinue(); !told) co_return Fail(told.error());
  }
  StartProgress();
  const Status read = body_kind_ == BodyKind::kLength ? co_await ReadLengthBody()
                                                      : co_await ReadChunkedBody(*limit);
  if (!read) co_return Fail(read.error());
  body_view_ = body().bytes.view();
  body_whole_ = true;
  co_return body_view_;
}

io::Task<Status> Connection::SayContinue() {
  auto told = co_await stream_->Write("HTTP/1.1 100 Continue\r\n\r\n", WriteDeadline());
  if (!told) exchange_.broken_ = true;
  co_return told;
}

io::Task<Status> Connection::ReadLengthBody() {
  Body& body = this->body();
  Buffer& bytes = body.bytes;
  bytes.Reserve(static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, kBodyStep)));
  bytes.Append(Unread());
  body_left_ -= Unread().size();
  taken_ = in_.size();
  while (body_left_ > 0) {
    if (bytes.free().empty()) {
      bytes.Reserve(bytes.size() +
                    static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, kBodyStep)));
    }
    // Never more than the body: what lies behind it belongs to the next request.
    const std::size_t wanted =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes.free().size(), body_left_));
    const auto read = co_await stream_->Read(bytes.free().first(wanted), body.progress_deadline);
    if (!read || *read == 0) co_return ReadFailed(read, bytes.size());
    bytes.Commit(*read);
    body_left_ -= *read;
    NoteProgress(*read);
  }
  co_return Status();
}

Result<std::size_t> Connection::TakeChunked(std::string_view bytes, std::size_t bytes_max) {
  auto& pieces = server_.pieces_;
  pieces.clear();
  Buffer& decoded = body().bytes;
  auto taken = body().chunked.Decode(bytes, server_.limits_.chunk, pieces);
  if (!taken) return BodyFailed(Refusal::kBodyMalformed, std::move(taken).error());
  for (const std::string_view piece : pieces) {
    if (piece.size() > bytes_max - decoded.size()) {
      return BodyFailed(
          Refusal::kBodyTooLarge,
          {Code::kTooLarge, "body: over the limit of " + std::to_string(bytes_max) + " bytes", {}});
    }
    decoded.Append(piece);
  }
  return *taken;
}

io::Task<Status> Connection::ReadChunkedBody(std::size_t bytes_max) {
  auto taken = TakeChunked(Unread(), bytes_max);
  if (!taken) co_return Fail(std::move(taken).error());
  taken_ += *taken;
  Body& body = this->body();
  while (!body.chunked.ended()) {
    const auto bytes = co_await stream_->Read(server_.loop_.scratch(), body.progress_deadline);
    if (!bytes || *bytes == 0) co_return ReadFailed(bytes, body.bytes.size());
    NoteProgress(*bytes);
    const std::string_view fresh(server_.loop_.scratch().data(), *bytes);
    taken = TakeChunked(fresh, bytes_max);
    if (!taken) co_return Fail(std::move(taken).error());
    body.later.Append(fresh.substr(*taken));
  }
  co_return Status();
}

Result<std::size_t> Connection::SkipBody(std::string_view bytes) {
  if (body_kind_ == BodyKind::kLength) {
    const std::size_t skipped =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), body_left_));
    body_left_ -= skipped;
    body_whole_ = body_left_ == 0;
    return skipped;
  }
  server_.pieces_.clear();
  auto skipped = body().chunked.Decode(bytes, server_.limits_.chunk, server_.pieces_);
  if (!skipped) return BodyFailed(Refusal::kBodyMalformed, std::move(skipped).error());
  body_whole_ = body().chunked.ended();
  return *skipped;
}

// Reads past a body that no handler wanted, so that the connection may go on. False: it may not.
io::Task<bool> Connection::DrainBody() {
  if (body_failed_) co_return false;
  auto skipped = SkipBody(Unread());
  if (!skipped) co_return false;
  taken_ += *skipped;
  std::size_t drained = *skipped;
  StartProgress();
  while (!body_whole_) {
    if (drained > server_.limits_.unread_body_bytes_max) co_return false;
    const auto bytes = co_await stream_->Read(server_.loop_.scratch(), body().progress_deadline);
    if (!bytes || *bytes == 0) co_return false;
    NoteProgress(*bytes);
    const std::string_view fresh(server_.loop_.scratch().data(), *bytes);
    skipped = SkipBody(fresh);
    if (!skipped) co_return false;
    drained += *skipped;
    body().later.Append(fresh.substr(*skipped));
  }
  co_return true;
}

void Connection::ReleaseRequest() {
  Buffer rest;
  rest.Append(Unread());
  in_ = std::move(rest);
  taken_ = 0;
  // What came behind the body waits on.
  if (body_ && body_->later.empty()) {
    body_.reset();
  } else if (body_) {
    body_->bytes.Release();
  }
  body_view_ = {};
  exchange_.head_.reset();
}

}  // namespace penstock::http

// The upstream's answer on its way to the client: Gateway::Relay and its steps.
#include <array>
#include <utility>

#include <fmt/format.h>

#include "api/answers.h"
#include "gateway/call.h"
#include "gateway/gateway.h"

namespace penstock::gateway {

namespace {

constexpr std::string_view kEventStream = "text/event-stream";

}  // namespace

bool Gateway::IsStream(const Call& call) {
  return call.response->head().fields.Get("content-type").starts_with(kEventStream);
}

io::Task<void> Gateway::Relay(Call& call) {
  const http::ClientResponse& response = *call.response;
  const bool translate = response.status() >= 400 && call.dialect != Dialect::kOpenAi;
  return translate ? RelayError(call) : RelayWhole(call);
}

// A replica speaks OpenAI's dialect: its errors are put into the client's.
io::Task<void> Gateway::RelayError(Call& call) {
  http::ClientResponse& response = *call.response;
  const int status = response.status();
  PassRetryFields(response.head().fields, call.approach->limit_fields);
  const auto answer = co_await response.ReadAll(
      limits_.answer_bytes_max, Deadline::After(loop_.RecentNow(), limits_.answer_stall_max));
  if (!answer) {
    call.disconnected = answer.error().code == Code::kCancelled;
    if (call.revoked) co_return;
    Settle(call, Traits(answer.error().code).http_status);
    co_await RespondError(call.exchange, call.dialect, answer.error(), call.IdText());
    co_return;
  }
  Settle(call, status);
  const Code code = CodeOfHttpStatus(status);
  const std::string body =
      ErrorBody(call.dialect, {code, ReadErrorMessage(*answer), ReadErrorParam(*answer)},
                CodeFor(call.dialect, ReadErrorCode(*answer)));
  (void)co_await call.exchange.Respond(status, "application/json", body, call.Fields());
}

io::Task<void> Gateway::RelayWhole(Call& call) {
  http::ClientResponse& response = *call.response;
  const int status = response.status();
  const std::string_view content_type = response.head().fields.Get("content-type");
  PassRetryFields(response.head().fields, call.approach->limit_fields);
  const std::vector<http::Field> sent = call.Fields();

  auto piece = co_await response.Next(Deadline::After(loop_.RecentNow(), limits_.answer_stall_max));
  if (piece && piece->ended && piece->payload.size() == 1) {  // The usual case: nothing is copied.
    call.NoteWhole(piece->payload[0]);
    Settle(call, status);
    const Status written =
        co_await call.exchange.Respond(status, content_type, piece->payload[0], sent);
    call.disconnected = !written;
    co_return;
  }
  std::string answer;
  while (piece) {
    for (const std::string_view payload : piece->payload) answer += payload;
    if (piece->ended || answer.size() > limits_.answer_bytes_max) break;
    piece = co_await response.Next(Deadline::After(loop_.RecentNow(), limits_.answer_stall_max));
  }
  if (!piece || !piece->ended) {
    call.disconnected = !piece && piece.error().code == Code::kCancelled;
    if (call.revoked) co_return;
    const Error cut =
        piece
            ? Error{Code::kUpstream,
                    fmt::format("the replica's answer is over {} bytes", limits_.answer_bytes_max),
                    {}}
            : piece.error();
    Settle(call, Traits(cut.code).http_status);
    co_await RespondError(call.exchange, call.dialect, cut, call.IdText());
    co_return;
  }
  call.NoteWhole(answer);
  Settle(call, status);
  call.disconnected = !co_await call.exchange.Respond(status, content_type, answer, sent);
}

bool Gateway::StartStream(Call& call) {
  http::Exchange& exchange = call.exchange;
  http::ClientResponse& response = *call.response;
  const bool verbatim = !call.strip_usage && exchange.CanRelayChunked() &&
                        response.head().body == http::BodyKind::kChunked;
  std::vector<http::Field> fields = call.Fields();
  fields.push_back({"cache-control", "no-cache"});
  if (call.surface == Surface::kAzure) fields.push_back({"x-accel-buffering", "no"});
  if (verbatim) {
    exchange.StartRaw({.status = response.status(), .content_type = kEventStream}, fields);
  } else {
    exchange.StartStream(response.status(), kEventStream, fields);
  }
  response.ReleaseHead();
  call.approach.reset();
  exchange.ReleaseRequest();
  return verbatim;
}

http::SendOp Gateway::Forward(Call& call, const http::BodyPiece& piece, bool verbatim) {
  http::Exchange& exchange = call.exchange;
  if (verbatim) {
    return piece.ended ? exchange.FinishRaw(piece.raw) : exchange.WriteRaw(piece.raw);
  }
  return piece.ended ? exchange.Finish(assembled_) : exchange.WriteChunk(assembled_);
}

Gateway::Relayed::Relayed(Call& relayed, bool as_it_is)
    : call(relayed), filter(!as_it_is), bound(relayed.bound), verbatim(as_it_is) {
  constexpr std::size_t kPerEvent = 64;  // Bytes of a call that each event touches: the first.
  call.companions.Add(&call, kPerEvent);
  call.companions.Add(this, sizeof *this);
  call.exchange.AddCompanions(call.companions);
  call.response->SetCompanions(&call.companions);
}

void Gateway::Count(Relayed& stream, const http::BodyPiece& piece) {
  Call& call = stream.call;
  assembled_.clear();
  if (call.payload) {
    call.payload->stream = true;
    for (const std::string_view part : piece.payload) call.KeepAnswer(part);
  }
  const TimePoint now = call.response->received_at();
  auto passed = stream.filter.Pass(piece.payload, now, assembled_);
  if (!passed) call.broken = std::make_unique<Error>(std::move(passed).error());
  if (piece.ended) assembled_ += stream.filter.held();
  call.admission.Produced(stream.filter.count(), now);
}

// Verbatim where it can be: framing and all, in one write per read, and sent before it is counted.
// Where an event must be left out, or the client does not know the chunked coding, the events are
// framed anew.
Gateway::Passing Gateway::Pass(Relayed& stream, Result<http::BodyPiece> next) {
  Call& call = stream.call;
  StreamFilter& filter = stream.filter;
  if (!next) {
    call.broken = std::make_unique<Error>(std::move(next).error());
    return Passing::kEnd;
  }
  const http::BodyPiece& piece = *next;
  const bool count_first = !stream.verbatim || piece.ended || filter.MayEnd(piece.payload);
  if (count_first) {
    Count(stream, piece);
    if (call.broken) return Passing::kEnd;
    // Nothing to send is no reason to send a held-back head early.
    if (!stream.verbatim && !piece.ended && assembled_.empty()) return Passing::kMore;
    // The end that clients look for may pass before the stream's own.
    if (piece.ended || filter.count().done) {
      stream.Note();
      Settle(call, call.response->status());
    }
  }
  auto sending = Forward(call, piece, stream.verbatim);
  sending.Start();
  if (!count_first) Count(stream, piece);
  if (!stream.learned && !filter.memory().empty()) {
    stream.learned = true;
    call.companions.Add(filter.memory().data(), filter.memory().size());
  }
  const bool ends =
      piece.ended || call.broken || (stream.bound.Exceeded(filter.count()) && !filter.count().done);
  if (!sending.await_ready()) {
    stream.unsent = std::make_unique<io::Unsent>(sending.TakeUnsent());
    stream.ends = ends;
    return Passing::kWait;
  }
  if (sending.await_resume()) return ends ? Passing::kEnd : Passing::kMore;
  call.disconnected = true;
  return Passing::kEnd;
}

// The client is slow: the rest of a piece, once there is room.
io::Task<Gateway::Passing> Gateway::SendRest(Relayed& stream) {
  const auto unsent = std::move(stream.unsent);
  stream.call.disconnected = !co_await stream.call.exchange.SendRest(unsent->view());
  co_return stream.ends || stream.call.disconnected ? Passing::kEnd : Passing::kMore;
}

// Waits for the next piece and passes it on. What a piece is and how it is sent stays on the stack:
// of what a coroutine's expressions yield, clang keeps a place in its frame.
class Gateway::PassOp {
 public:
  // Counted from the last arrival: a clock that is read for each event costs as much as metering.
  explicit PassOp(Relayed& stream)
      : stream_(stream),
        next_(stream.call.response->Next(Deadline::After(
            stream.call.response->received_at(), stream.call.gateway.limits_.answer_stall_max))) {}
  bool await_ready() { return next_.await_ready(); }
  template <typename Promise>
  auto await_suspend(std::coroutine_handle<Promise> handle) {
    return next_.await_suspend(handle);
  }
  Passing await_resume() { return stream_.call.gateway.Pass(stream_, next_.await_resume()); }

 private:
  Relayed& stream_;
  http::ClientResponse::NextOp next_;
};

// Its frame lives as long as the stream, so all but the waiting is done elsewhere.
io::Task<void> Gateway::RelayStream(std::unique_ptr<Call> call) {
  Relayed stream(*call, StartStream(*call));
  Passing passing = Passing::kMore;
  while (passing == Passing::kMore) {
    passing = co_await PassOp(stream);
    if (passing == Passing::kWait) passing = co_await SendRest(stream);
  }
  co_await EndStream(stream);
}

// What is to be done about a stream that did not end by itself.
io::Task<void> Gateway::EndStream(Relayed& stream) {
  Call& call = stream.call;
  stream.Note();
  if (call.broken) {
    co_await EndBrokenStream(call, !stream.verbatim);
  } else if (!call.disconnected && !call.exchange.finished()) {
    co_await EndOverrun(call, stream.filter, stream.verbatim);
  }
  if (call.revoked) co_await EndRevoked(call);
}

// The client learns that its stream broke: by an error event where we frame it, else by the cut.
io::Task<void> Gateway::EndBrokenStream(Call& call, bool framed_here) {
  Error& error = *call.broken;
  if (error.code == Code::kCancelled) {
    call.disconnected = true;
    co_return;
  }
  call.upstream_failed = true;
  const bool begun = call.exchange.head_sent();
  Settle(call, begun ? call.exchange.status() : Traits(error.code).http_status);
  if (!begun) {
    co_await RespondError(call.exchange, call.dialect, error, call.IdText());
  } else if (framed_here) {
    const std::string event = fmt::format(
        "data: {}\n\n",
        ErrorBody(Dialect::kOpenAi,
                  {Code::kUpstream, "the replica failed while it answered: " + error.message, {}}));
    (void)co_await call.exchange.Finish(event);
  }
}

}  // namespace penstock::gateway

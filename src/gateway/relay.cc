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

io::Task<void> Gateway::Relay(Call& call) {
  const http::ClientResponse& response = *call.response;
  if (response.head().fields.Get("content-type").starts_with(kEventStream)) {
    return RelayStream(call);
  }
  const bool translate = response.status() >= 400 && call.dialect != Dialect::kOpenAi;
  return translate ? RelayError(call) : RelayWhole(call);
}

// A replica speaks OpenAI's dialect: its errors are put into the client's.
io::Task<void> Gateway::RelayError(Call& call) {
  http::ClientResponse& response = *call.response;
  const int status = response.status();
  const auto answer = co_await response.ReadAll(
      limits_.answer_bytes_max, Deadline::After(loop_.Now(), limits_.answer_stall_max));
  if (!answer) {
    call.disconnected = answer.error().code == Code::kCancelled;
    if (call.revoked) co_return;
    Settle(call, Traits(answer.error().code).http_status);
    co_await RespondError(call.exchange, call.dialect, answer.error());
    co_return;
  }
  Settle(call, status);
  const Code code = CodeOfHttpStatus(status);
  const std::string body = ErrorBody(call.dialect, {code, ReadErrorMessage(*answer), {}},
                                     CodeFor(call.dialect, ReadErrorCode(*answer)));
  (void)co_await call.exchange.Respond(status, "application/json", body, call.Fields());
}

io::Task<void> Gateway::RelayWhole(Call& call) {
  http::ClientResponse& response = *call.response;
  const int status = response.status();
  const std::string content_type(response.head().fields.Get("content-type"));
  call.approach->limit_fields.Add("retry-after",
                                  std::string(response.head().fields.Get("retry-after")));
  const std::vector<http::Field> sent = call.Fields();

  auto piece = co_await response.Next(Deadline::After(loop_.Now(), limits_.answer_stall_max));
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
    piece = co_await response.Next(Deadline::After(loop_.Now(), limits_.answer_stall_max));
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
    co_await RespondError(call.exchange, call.dialect, cut);
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
  if (verbatim) {
    exchange.StartRaw({.status = response.status(), .content_type = kEventStream}, fields);
  } else {
    exchange.StartStream(response.status(), kEventStream, fields);
  }
  response.ReleaseHead();
  call.body = {};
  call.approach.reset();
  std::string().swap(call.rewritten);
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

bool Gateway::Count(Call& call, StreamFilter& filter, const http::BodyPiece& piece) {
  assembled_.clear();
  if (call.payload) {
    call.payload->stream = true;
    for (const std::string_view part : piece.payload) call.KeepAnswer(part);
  }
  auto passed = filter.Pass(piece.payload, call.response->received_at(), assembled_);
  if (!passed) call.broken = std::make_unique<Error>(std::move(passed).error());
  if (piece.ended) assembled_ += filter.held();
  call.admission.Produced(filter.count(), call.response->received_at());
  return passed.has_value();
}

// Verbatim where it can be: framing and all, in one write per read, and sent before it is counted.
// Where an event must be left out, or the client does not know the chunked coding, the events are
// framed anew. (The blocks keep what does not outlive a suspension out of the frame, which lives as
// long as the stream.)
io::Task<void> Gateway::RelayStream(Call& call) {
  http::ClientResponse& response = *call.response;
  const bool verbatim = StartStream(call);
  StreamFilter filter(!verbatim);
  Call::StreamNote note(call, filter);
  constexpr std::size_t kPerEvent = 64;  // Bytes of a call that each event touches: the first.
  call.companions.Add(&call, kPerEvent);
  call.companions.Add(&filter, sizeof filter);
  call.exchange.AddCompanions(call.companions);
  response.SetCompanions(&call.companions);
  http::BodyPiece piece;
  bool learned = false;
  while (!call.broken) {
    {
      // Counted from the last arrival: a clock that is read for each event costs as much as
      // metering.
      auto next =
          co_await response.Next(Deadline::After(response.received_at(), limits_.answer_stall_max));
      if (!next) {
        call.broken = std::make_unique<Error>(std::move(next).error());
        break;
      }
      piece = *next;
    }
    const bool count_first = !verbatim || piece.ended || filter.MayEnd(piece.payload);
    if (count_first) {
      if (!Count(call, filter, piece)) break;
      // Nothing to send is no reason to send a held-back head early.
      if (!verbatim && !piece.ended && assembled_.empty()) continue;
      // The end that clients look for may pass before the stream's own.
      if (piece.ended || filter.count().done) {
        note.Note();
        Settle(call, response.status());
      }
    }
    auto sending = Forward(call, piece, verbatim);
    if (!count_first) {
      sending.Start();
      Count(call, filter, piece);
    }
    if (!learned && !filter.memory().empty()) {
      learned = true;
      call.companions.Add(filter.memory().data(), filter.memory().size());
    }
    const bool sent = (co_await sending).has_value();
    if (!sent) call.disconnected = true;
    if (!sent || piece.ended) co_return;
  }
  note.Note();
  co_await EndBrokenStream(call, !verbatim);
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
    co_await RespondError(call.exchange, call.dialect, error);
  } else if (framed_here) {
    const std::string event = fmt::format(
        "data: {}\n\n",
        ErrorBody(Dialect::kOpenAi,
                  {Code::kUpstream, "the replica failed while it answered: " + error.message, {}}));
    (void)co_await call.exchange.Finish(event);
  }
}

}  // namespace penstock::gateway

// The upstream's answer on its way to the client: Gateway::Relay and its steps.
#include <array>
#include <utility>

#include <fmt/format.h>

#include "api/answers.h"
#include "gateway/call.h"
#include "gateway/gateway.h"
#include "gateway/stream_filter.h"

namespace penstock::gateway {

namespace {

constexpr std::string_view kEventStream = "text/event-stream";

void NoteUsage(meter::EndpointMetrics& metrics, const Usage& usage) {
  metrics.TokensIn(usage.prompt_tokens, usage.cached_tokens);
  metrics.TokensOut(usage.completion_tokens);
}

// What a stream, whole or cut, adds to the metrics. Without usage, an event with text is a token.
void NoteStream(meter::EndpointMetrics& metrics, const StreamCount& count, TimePoint arrived_at) {
  metrics.StreamEvents(count.events);
  if (count.usage) {
    NoteUsage(metrics, *count.usage);
  } else {
    metrics.TokensOut(count.text_events);
  }
  if (count.text_events == 0) return;
  metrics.FirstToken(count.first_text_at - arrived_at);
  const std::uint64_t tokens = count.usage ? count.usage->completion_tokens : count.text_events;
  if (tokens < 2) return;
  metrics.TimePerOutputToken((count.last_text_at - count.first_text_at) /
                             static_cast<std::int64_t>(tokens - 1));
}

// Notes the stream when its relay ends, by whichever way.
class StreamNote {
 public:
  StreamNote(meter::EndpointMetrics& metrics, const StreamFilter& filter, TimePoint arrived_at)
      : metrics_(metrics), filter_(filter), arrived_at_(arrived_at) {}
  ~StreamNote() { NoteStream(metrics_, filter_.count(), arrived_at_); }
  StreamNote(const StreamNote&) = delete;
  StreamNote& operator=(const StreamNote&) = delete;

 private:
  meter::EndpointMetrics& metrics_;
  const StreamFilter& filter_;
  TimePoint arrived_at_;
};

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
    co_await RespondError(call.exchange, call.dialect, answer.error());
    co_return;
  }
  const Code code = CodeOfHttpStatus(status);
  const std::string body = ErrorBody(call.dialect, {code, ReadErrorMessage(*answer), {}});
  (void)co_await call.exchange.Respond(status, "application/json", body,
                                       {{"x-request-id", call.request_id}});
}

io::Task<void> Gateway::RelayWhole(Call& call) {
  http::ClientResponse& response = *call.response;
  const int status = response.status();
  const std::string content_type(response.head().fields.Get("content-type"));
  const std::string retry_after(response.head().fields.Get("retry-after"));
  std::array<http::Field, 2> fields{
      {{"x-request-id", call.request_id}, {"retry-after", retry_after}}};
  const std::span<const http::Field> sent(fields.data(), retry_after.empty() ? 1 : 2);

  auto piece = co_await response.Next(Deadline::After(loop_.Now(), limits_.answer_stall_max));
  if (piece && piece->ended && piece->payload.size() == 1) {  // The usual case: nothing is copied.
    if (const auto usage = ParseStreamChunk(piece->payload[0]).usage)
      NoteUsage(call.metrics, *usage);
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
    const Error cut =
        piece
            ? Error{Code::kUpstream,
                    fmt::format("the replica's answer is over {} bytes", limits_.answer_bytes_max),
                    {}}
            : piece.error();
    co_await RespondError(call.exchange, call.dialect, cut);
    co_return;
  }
  if (const auto usage = ParseStreamChunk(answer).usage) NoteUsage(call.metrics, *usage);
  call.disconnected = !co_await call.exchange.Respond(status, content_type, answer, sent);
}

bool Gateway::StartStream(Call& call) {
  http::Exchange& exchange = call.exchange;
  http::ClientResponse& response = *call.response;
  const bool verbatim = !call.strip_usage && exchange.CanRelayChunked() &&
                        response.head().body == http::BodyKind::kChunked;
  const std::array<http::Field, 2> fields{
      {{"x-request-id", call.request_id}, {"cache-control", "no-cache"}}};
  if (verbatim) {
    exchange.StartRaw({.status = response.status(), .content_type = kEventStream},
                      std::span<const http::Field>(fields));
  } else {
    exchange.StartStream(response.status(), kEventStream, std::span<const http::Field>(fields));
  }
  response.ReleaseHead();
  call.body = {};
  std::string().swap(call.rewritten);
  exchange.ReleaseRequest();
  return verbatim;
}

http::SendOp Gateway::Forward(Call& call, const http::BodyPiece& piece, std::string_view kept,
                              bool verbatim) {
  http::Exchange& exchange = call.exchange;
  if (verbatim) {
    return piece.ended ? exchange.FinishRaw(piece.raw) : exchange.WriteRaw(piece.raw);
  }
  return piece.ended ? exchange.Finish(kept) : exchange.WriteChunk(kept);
}

// Verbatim where it can be: framing and all, in one write per read. Where an event must be left
// out, or the client does not know the chunked coding, the events are framed anew.
io::Task<void> Gateway::RelayStream(Call& call) {
  http::ClientResponse& response = *call.response;
  const bool verbatim = StartStream(call);
  StreamFilter filter(!verbatim);
  const StreamNote note(call.metrics, filter, call.exchange.arrived_at());
  for (;;) {
    const auto piece =
        co_await response.Next(Deadline::After(loop_.Now(), limits_.answer_stall_max));
    assembled_.clear();
    const Status passed = piece ? filter.Pass(piece->payload, response.received_at(), assembled_)
                                : Fail(piece.error());
    if (!passed) {
      co_await EndBrokenStream(call, passed.error(), !verbatim);
      co_return;
    }
    if (piece->ended) assembled_ += filter.held();
    // Nothing to send is no reason to send a held-back head early.
    if (!verbatim && !piece->ended && assembled_.empty()) continue;
    const bool ended = piece->ended;
    const Status sent = co_await Forward(call, *piece, assembled_, verbatim);
    if (!sent || ended) {
      call.disconnected = !sent;
      co_return;
    }
  }
}

// The client learns that its stream broke: by an error event where we frame it, else by the cut.
io::Task<void> Gateway::EndBrokenStream(Call& call, Error error, bool framed_here) {
  if (error.code == Code::kCancelled) {
    call.disconnected = true;
    co_return;
  }
  call.upstream_failed = true;
  if (!call.exchange.head_sent()) {
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

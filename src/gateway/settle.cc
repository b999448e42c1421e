// The end of a request: what it used, in the metrics and as its usage record.
#include <algorithm>
#include <cmath>
#include <utility>

#include "api/stream_meter.h"
#include "gateway/call.h"
#include "gateway/gateway.h"

namespace penstock::gateway {

namespace {

// More than any model makes: a server that claims it lies, and is counted instead.
constexpr std::uint64_t kTokensMax = std::uint64_t{1} << 32;
// The status of a request whose client left before there was an answer.
constexpr int kClientLeft = 499;

// Text that a token stands for at most, over the length of an answer.
constexpr std::uint64_t kTokenBytesMax = 64;

// What an answer has taken at least. Each event with text is a token or more; but one of each
// choice may repeat the prompt (`echo`), or bring the end of a character that was held back.
std::uint64_t FewestTokens(std::uint64_t text_events, std::uint64_t text_bytes,
                           std::uint64_t prompt_bytes, std::uint64_t choices) {
  const std::uint64_t repeated = choices * prompt_bytes;
  const std::uint64_t by_events = text_events > choices ? text_events - choices : 0;
  const std::uint64_t by_bytes =
      text_bytes > repeated ? (text_bytes - repeated + kTokenBytesMax - 1) / kTokenBytesMax : 0;
  return std::max(by_events, by_bytes);
}

bool IsBelievable(const Usage& usage, std::uint64_t fewest) {
  return usage.prompt_tokens <= kTokensMax && usage.completion_tokens <= kTokensMax &&
         usage.cached_tokens <= usage.prompt_tokens && usage.completion_tokens >= fewest;
}

// Where nobody counted: Databricks' formula.
std::uint64_t EstimateTokens(std::uint64_t characters) { return (characters + 1) / 4; }

std::uint64_t Microseconds(Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0));
}

std::uint64_t Thousandths(double value) {
  return value > 0 && value < 1e15 ? static_cast<std::uint64_t>(std::llround(value * 1000)) : 0;
}

meter::RequestEnd EndOf(int status) {
  if (status == 429) return meter::RequestEnd::kRefused;
  if (status >= 500) return meter::RequestEnd::kServerError;
  return status >= 400 ? meter::RequestEnd::kClientError : meter::RequestEnd::kCompleted;
}

policy::ReplicaSet::Fate FateOfStatus(int status) {
  if (status == 429 || status == 503) return policy::ReplicaSet::Fate::kBusy;
  return status >= 500 ? policy::ReplicaSet::Fate::kFailed : policy::ReplicaSet::Fate::kGood;
}

}  // namespace

meter::Operation ToMeter(Operation operation) {
  switch (operation) {
    case Operation::kChat:
      return meter::Operation::kChat;
    case Operation::kCompletions:
      return meter::Operation::kCompletions;
    case Operation::kEmbeddings:
      return meter::Operation::kEmbeddings;
    case Operation::kByBody:
      break;
  }
  return meter::Operation::kUnknown;
}

meter::RequestId Gateway::NewRequestId() { return {.high = run_, .low = next_request_++}; }

std::uint64_t Gateway::Call::Choices() const {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(1, admission.grant().size.choices));
}

std::uint64_t Gateway::Call::EstimatePrompt(const RequestPeek& peek) {
  return peek.prompt_token_ids + EstimateTokens(peek.prompt_characters);
}

void Gateway::Call::NoteWhole(std::string_view answer) {
  if (payload) KeepAnswer(answer);
  const StreamChunk read = ParseStreamChunk(answer);
  usage.output_bytes = read.text_bytes;
  usage.output_characters = read.text_characters;
  const std::uint64_t fewest = FewestTokens(0, usage.output_bytes, usage.input_bytes, Choices());
  if (read.usage && IsBelievable(*read.usage, fewest)) {
    usage.source = meter::UsageSource::kUpstream;
    usage.tokens = *read.usage;
  } else if (response->status() < 400) {
    usage.source = meter::UsageSource::kEstimated;
    usage.tokens.completion_tokens = EstimateTokens(read.text_characters);
  } else {
    return;
  }
  metrics->TokensIn(usage.tokens.prompt_tokens, usage.tokens.cached_tokens);
  metrics->TokensOut(usage.tokens.completion_tokens);
}

void Gateway::Call::NoteStream(const StreamCount& count) {
  metrics->StreamEvents(count.events);
  if (count.failed) upstream_failed = true;
  usage.output_bytes = count.text_bytes;
  usage.output_characters = count.text_characters;
  const std::uint64_t fewest =
      FewestTokens(count.text_events, count.text_bytes, usage.input_bytes, Choices());
  if (count.usage && IsBelievable(*count.usage, fewest)) {
    usage.source = meter::UsageSource::kUpstream;
    usage.tokens = *count.usage;
  } else if (count.text_events != 0) {
    // Cut before its usage came: each event with text counts as a token.
    usage.source = meter::UsageSource::kCounted;
    usage.tokens.completion_tokens = std::max(count.text_events, fewest);
  }
  if (usage.source == meter::UsageSource::kNone) return;
  metrics->TokensIn(usage.tokens.prompt_tokens, usage.tokens.cached_tokens);
  metrics->TokensOut(usage.tokens.completion_tokens);
  if (count.text_events == 0) return;
  usage.ttft = count.first_text_at - exchange.arrived_at();
  metrics->FirstToken(usage.ttft, ToMeter(operation));
  if (usage.tokens.completion_tokens < 2) return;
  usage.tpot = (count.last_text_at - count.first_text_at) /
               static_cast<std::int64_t>(usage.tokens.completion_tokens - 1);
  metrics->TimePerOutputToken(usage.tpot, ToMeter(operation));
}

void Gateway::Call::NoteLeft() {
  const bool sent = approach == nullptr || approach->sent_at != TimePoint{};
  const bool refused = response != nullptr && response->status() >= 400;
  if (usage.source != meter::UsageSource::kNone || !admission.held() || !sent || refused) return;
  usage.source = meter::UsageSource::kEstimated;
  // As it was reserved: what the endpoint's prompts have taught.
  usage.tokens.prompt_tokens = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, admission.grant().estimate.input_tokens));
  if (!stream && approach != nullptr) {  // Of a stream nothing has come.
    const Duration elapsed = gateway.loop_.Now() - approach->sent_at;
    usage.tokens.completion_tokens = static_cast<std::uint64_t>(admission.OutputWithin(elapsed));
  }
  metrics->TokensIn(usage.tokens.prompt_tokens, 0);
  metrics->TokensOut(usage.tokens.completion_tokens);
}

void Gateway::Settle(Call& call, int status) {
  if (std::exchange(call.usage.settled, true)) return;
  const TimePoint now = loop_.Now();
  if (call.disconnected || call.revoked) {
    // It left while the second place worked for it.
    const bool spilled = call.approach != nullptr && call.is_elsewhere();
    if (spilled && call.texts[Call::kSpilledFrom].empty()) call.NoteSpillover();
    call.NoteLeft();
  }
  if (call.admission.held()) {
    call.usage.cost = policy::Cost(call.usage.AsCounts(), call.admission.weights());
    // A client may be slow to take its last chunk: the replica is free before.
    if (!call.disconnected && !call.upstream_failed && call.response != nullptr) {
      call.EndAdmission(FateOfStatus(call.response->status()), now);
    }
  }
  if (call.disconnected && status == 0) status = kClientLeft;
  const Call::Usage& usage = call.usage;
  static const policy::ServedRoute nobody;
  const policy::ServedRoute& served = call.endpoint().served.empty() ? nobody : call.served();
  const bool used = usage.source != meter::UsageSource::kNone;
  double cost = usage.cost;
  if (cost == 0 && used) cost = policy::Cost(usage.AsCounts(), served.lane.weights);
  call.metrics->CostDrawn(Thousandths(cost));
  if (usage_sink_ == nullptr) return;
  meter::UsageRecord record{.id = call.id,
                            .ended_at = loop_.WallNow(),
                            .endpoint = call.endpoint().name,
                            .endpoint_id = call.endpoint().id,
                            .served_entity = served.name,
                            .model = served.model,
                            .model_version = served.model_version,
                            .requester = call.requester->name,
                            .client_request_id = call.texts[Call::kClientRequestId],
                            .usage_context = call.texts[Call::kUsageContext],
                            .spilled_from = call.texts[Call::kSpilledFrom],
                            .operation = ToMeter(call.operation),
                            .end = call.End(status),
                            .source = usage.source,
                            .stream = call.stream,
                            .status = static_cast<std::uint16_t>(status),
                            .input_tokens = used ? usage.tokens.prompt_tokens : 0,
                            .cached_tokens = usage.tokens.cached_tokens,
                            .output_tokens = usage.tokens.completion_tokens,
                            .input_bytes = usage.input_bytes,
                            .output_bytes = usage.output_bytes,
                            .duration_us = Microseconds(now - call.exchange.arrived_at()),
                            .queue_wait_us = Microseconds(usage.queue_wait),
                            .ttft_us = {},
                            .tpot_ns = {},
                            .cost_milli = Thousandths(cost),
                            .reserved_milli = Thousandths(usage.reserved_cost),
                            .input_characters = usage.input_characters,
                            .output_characters = usage.output_characters};
  if (usage.ttft >= Duration::zero()) record.ttft_us = Microseconds(usage.ttft);
  if (usage.tpot >= Duration::zero()) {
    record.tpot_ns = static_cast<std::uint64_t>(usage.tpot.count());
  }
  usage_sink_->Record(record);
}

void Gateway::SettleSpilled(Call& call) {
  const Hop& first = call.approach->hops.front();
  const int status = call.approach->first_status;
  call.metrics->RequestEnded(EndOf(status), loop_.Now() - call.exchange.arrived_at(),
                             ToMeter(call.operation));
  call.metrics = &MetricsOf(call.endpoint().name);
  call.metrics->RequestStarted();
  RecordAttempt(call, first, status, first.endpoint->route->name);
}

void Gateway::SettleSpilledInVain(Call& call, const Hop& hop, int status) {
  meter::EndpointMetrics& metrics = MetricsOf(hop.endpoint->route->name);
  metrics.RequestStarted();
  metrics.RequestEnded(EndOf(status), loop_.Now() - call.exchange.arrived_at(),
                       ToMeter(call.operation));
  const std::string& from = call.approach->hops.front().endpoint->route->name;
  RecordAttempt(call, hop, status, from);
  call.texts.Set(Call::kSpilledFrom, from);
  call.usage.reserved_cost = 0;  // Of the place that failed.
}

void Gateway::RecordAttempt(const Call& call, const Hop& hop, int status,
                            std::string_view spilled_from) {
  if (usage_sink_ == nullptr) return;
  const policy::EndpointRoute& route = *hop.endpoint->route;
  const policy::ServedRoute& served = route.served[hop.entity];
  usage_sink_->Record({.id = NewRequestId(),
                       .ended_at = loop_.WallNow(),
                       .endpoint = route.name,
                       .endpoint_id = route.id,
                       .served_entity = served.name,
                       .model = served.model,
                       .model_version = served.model_version,
                       .requester = call.requester->name,
                       .client_request_id = call.texts[Call::kClientRequestId],
                       .spilled_from = spilled_from,
                       .operation = ToMeter(call.operation),
                       .end = EndOf(status),
                       .stream = call.stream,
                       .status = static_cast<std::uint16_t>(status),
                       .input_bytes = call.usage.input_bytes,
                       .duration_us = Microseconds(loop_.Now() - call.exchange.arrived_at()),
                       .input_characters = call.usage.input_characters});
}

void Gateway::Call::KeepAnswer(std::string_view piece) {
  if (payload->response_too_large) return;
  payload->response_too_large =
      payload->response.size() + piece.size() > meter::kPayloadTextBytesMax;
  if (payload->response_too_large) {
    std::string().swap(payload->response);
  } else {
    payload->response += piece;
  }
}

void Gateway::LogPayload(Call& call, int status) {
  if (payload_sink_ == nullptr) return;
  meter::PayloadEntry& entry = *call.payload;
  const Duration took = loop_.Now() - call.exchange.arrived_at();
  entry.endpoint = call.endpoint().name;
  entry.request_id = call.id.ToString();
  entry.client_request_id = call.texts[Call::kClientRequestId];
  if (!call.endpoint().served.empty()) entry.served_entity = call.served().name;
  entry.requester = call.requester->name;
  entry.duration_ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
  entry.started_at = loop_.WallNow() - std::chrono::milliseconds(entry.duration_ms);
  entry.status = status == 0 ? kClientLeft : status;
  payload_sink_->Add(std::move(entry));
}

meter::RequestId Gateway::SettleRefused(const http::Exchange& exchange, const Route& route,
                                        std::string_view requester, const Error& error) {
  const meter::RequestId id = NewRequestId();
  if (usage_sink_ == nullptr) return id;
  const int status = Traits(error.code).http_status;
  usage_sink_->Record({.id = id,
                       .ended_at = loop_.WallNow(),
                       // Not a row for each name that somebody makes up.
                       .endpoint = error.code == Code::kNotFound ? std::string_view() : route.name,
                       .requester = requester,
                       .client_request_id = exchange.head().fields.Get("x-request-id"),
                       .operation = ToMeter(route.operation),
                       .end = EndOf(status),
                       .status = static_cast<std::uint16_t>(status),
                       .duration_us = Microseconds(loop_.Now() - exchange.arrived_at())});
  return id;
}

}  // namespace penstock::gateway

// From a request to a replica's answer: Gateway::Obtain and its steps.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "gateway/call.h"
#include "gateway/gateway.h"
#include "gateway/replica_fields.h"
#include "policy/prompt_hash.h"

namespace penstock::gateway {
namespace {

using Fate = policy::ReplicaSet::Fate;
using Kind = policy::Answer::Kind;

constexpr std::size_t kErrorBytesMax = std::size_t{64} * 1024;

std::string Number(std::int64_t value) { return fmt::format("{}", value); }

std::string WholeSeconds(Duration wait) {
  return Number(std::chrono::ceil<std::chrono::seconds>(wait).count());
}

void AddHeadroom(const policy::Lane::Headroom& room, AnswerFields& fields) {
  if (room.limit_requests > 0) {
    fields.Add("x-ratelimit-limit-requests", Number(room.limit_requests));
    fields.Add("x-ratelimit-remaining-requests", Number(room.remaining_requests));
    fields.Add("x-ratelimit-reset-requests", WholeSeconds(room.reset_requests));
  }
  if (room.limit_tokens > 0) {
    fields.Add("x-ratelimit-limit-tokens", Number(room.limit_tokens));
    fields.Add("x-ratelimit-remaining-tokens", Number(room.remaining_tokens));
    fields.Add("x-ratelimit-reset-tokens", WholeSeconds(room.reset_tokens));
  }
  if (room.utilization > -1) {
    fields.Add("azure-openai-deployment-utilization",
               fmt::format("{:.1f}%", 100 * std::max(0.0, room.utilization)));
  }
}

// What the buckets are charged at most: a server that lies in its usage must not empty them for
// years. A template adds to a prompt; a token stands for a byte at least.
policy::TokenCounts Believed(policy::TokenCounts counts, const policy::RequestSize& size) {
  constexpr std::int64_t kTemplateTokensMax = 65'536;
  constexpr std::int64_t kOutputTokensMax = 1 << 20;
  const auto prompt = static_cast<std::int64_t>(size.prompt_bytes + size.prompt_token_ids);
  counts.input = std::min(counts.input, prompt + kTemplateTokensMax);
  counts.cached = std::min(counts.cached, counts.input);
  counts.output =
      std::min(counts.output, size.tokens_max.value_or(kOutputTokensMax) * size.choices);
  return counts;
}

}  // namespace

RefusedRequest Gateway::Call::AsRefused() const {
  return {.endpoint = endpoint().name,
          .surface = surface,
          .operation = operation,
          .api_version = approach->api_version,
          .waited = usage.queue_wait};
}

void Gateway::Call::TakeHop(const Hop& hop) {
  live = hop.endpoint;
  entity = static_cast<std::uint32_t>(hop.entity);
  bound =
      OutputBound(approach->size, served().context_tokens, gateway.limits_.output_overrun_factor);
  approach->rate_fields.Clear();
}

void Gateway::Call::HashPrompt() {
  if (std::exchange(approach->prompt_hashed, true)) return;
  // Tools stand before the messages in every chat template: other tools are another beginning.
  const std::uint64_t seed =
      approach->tools_text.empty() ? 0 : policy::HashBytes(approach->tools_text, 1);
  policy::AppendBlockHashes(approach->prompt_text, seed, approach->prefix.blocks);
  if (!approach->session.empty()) {
    approach->prefix.session = policy::HashBytes(approach->session, 2);
  }
}

void Gateway::Call::EndAdmission(Fate fate, TimePoint now) {
  if (!admission.held()) return;
  policy::Ending ending{.actual = std::nullopt, .whole = false, .fate = fate};
  if (usage.source != meter::UsageSource::kNone) {
    ending.actual = Believed(usage.AsCounts(), admission.grant().size);
    ending.whole = usage.source == meter::UsageSource::kUpstream && !disconnected;
  }
  admission.End(ending, now);
}

void Gateway::Call::EndLimits() {
  if (!held_limits) return;
  const policy::TokenCounts used = usage.AsCounts();
  held_limits->limits->Finish(AsCaller(), held_limits->tokens, used.input + used.output,
                              gateway.loop_.Now());
  held_limits.reset();
}

std::optional<Failure> Gateway::CheckLimits(Call& call) {
  EndpointLimits& limits = *call.live->limits;
  if (limits.empty()) return std::nullopt;
  // Input as metering estimates it, output by the request's own limit: what the user asks for.
  const auto input = static_cast<std::int64_t>(call.usage.tokens.prompt_tokens);
  const std::int64_t tokens = policy::QuotaMeter::TokensOf(call.approach->size, input);
  const policy::Caller caller = call.AsCaller();
  const auto refused = limits.Arrive(caller, tokens, loop_.Now());
  const policy::RateLimiter::Headroom room = limits.HeadroomOf(caller, loop_.Now());
  AddHeadroom({.limit_requests = room.limit_calls,
               .limit_tokens = room.limit_tokens,
               .remaining_requests = room.remaining_calls,
               .remaining_tokens = room.remaining_tokens,
               .reset_requests = room.reset_calls,
               .reset_tokens = room.reset_tokens},
              call.approach->limit_fields);
  if (refused) return FailureOf(*refused, call.AsRefused());
  call.held_limits = std::make_unique<Call::HeldLimits>();
  call.held_limits->limits = call.live->limits;
  call.held_limits->tokens = tokens;
  return std::nullopt;
}

io::Task<bool> Gateway::Obtain(Call& call) {
  std::optional<Failure> first;
  AnswerFields first_fields;  // What was told beside it,
  AnswerFields first_limits;  // of its rate limits, too.
  for (std::size_t i = 0; i < call.approach->hops.size(); ++i) {
    const Hop& hop = call.approach->hops[i];
    call.TakeHop(hop);
    auto failure = co_await Attempt(call);
    if (call.disconnected) co_return false;
    const bool more = i + 1 < call.approach->hops.size();
    const Hop::Kind next = more ? call.approach->hops[i + 1].kind : Hop::Kind::kFirst;
    const bool spilled = hop.kind == Hop::Kind::kSpillover;
    if (!failure) {
      const int status = call.response->status();
      const bool failed = spilled ? status >= 400 : more && IsWorthAsking(next, status);
      if (!failed) {
        if (spilled) call.NoteSpillover();
        co_return true;
      }
      failure = co_await TakeAnswer(call);
      if (call.disconnected) co_return false;
    }
    if (more && MayGoOn(next, *failure)) {
      if (!first) {
        first = std::move(failure);
        first_fields = std::move(call.approach->rate_fields);
        first_limits = call.approach->limit_fields;
        call.approach->first_status = first->status;
      }
      continue;
    }
    if (spilled && first) {
      SettleSpilledInVain(call, hop, failure->status);
      call.approach->limit_fields = std::move(first_limits);
      call.approach->limit_fields.Add("x-ms-spillover-from-deployment",
                                      call.approach->hops.front().endpoint->route->name);
      call.approach->limit_fields.Add("x-ms-spillover-error", Number(failure->status));
      call.TakeHop(call.approach->hops.front());
      call.approach->rate_fields = std::move(first_fields);
      failure = std::move(first);
    }
    co_await RespondFailure(call, *std::move(failure));
    co_return false;
  }
  co_await RespondFailure(
      call, FailureOf(Error{Code::kUnavailable,
                            fmt::format("endpoint '{}' serves no model", call.endpoint().name),
                            {}}));
  co_return false;
}

// Admission, and then a replica's answer: nullopt, and call.response is there.
io::Task<std::optional<Failure>> Gateway::Attempt(Call& call) {
  if (call.is_elsewhere()) {  // Under that place's rate limits, and no longer under the first's.
    call.EndLimits();
    call.approach->limit_fields.Clear();
    if (auto refused = CheckLimits(call)) co_return refused;
  }
  if (auto refused = co_await Admit(call)) co_return refused;
  if (call.disconnected) co_return std::nullopt;
  const Status sent = co_await Send(call);
  if (sent) co_return std::nullopt;
  call.disconnected = sent.error().code == Code::kCancelled;
  // A client that left is charged for what runs on: its admission ends with it.
  if (!call.disconnected) call.EndAdmission(Fate::kFailed);
  co_return FailureOf(sent.error());
}

io::Task<std::optional<Failure>> Gateway::Admit(Call& call) {
  const LiveEntity& entity = call.live->entities[call.entity];
  const std::shared_ptr<Pool> pool = entity.pool;
  if (pool->wants_prefix()) call.HashPrompt();
  policy::Arrival arrival{.lane = entity.lane, .size = call.approach->size, .prefix = {}};
  arrival.prefix =
      call.approach->hops.size() == 1 ? std::move(call.approach->prefix) : call.approach->prefix;
  Pool::Entry entry = pool->Arrive(std::move(arrival), loop_, loop_.Now());
  AddHeadroom(entry.headroom, call.approach->rate_fields);
  call.approach->upstream = std::move(entry.upstream);
  policy::Answer& answer = entry.answer;
  if (answer.kind == Kind::kQueue) {
    const TimePoint queued_at = loop_.Now();
    const auto refusal = co_await WaitForTurn(call, pool, entry);
    call.usage.queue_wait += loop_.Now() - queued_at;
    if (call.disconnected) co_return std::nullopt;
    answer.grant = std::move(entry.waiter->grant);
    if (refusal) {
      answer.refusal = *refusal;
      answer.retry_after = std::chrono::seconds(1);
      answer.kind = Kind::kRefuse;
    }
  }
  if (answer.kind == Kind::kRefuse) {
    co_return FailureOf(answer, entry.headroom, call.AsRefused());
  }
  call.usage.reserved_cost = answer.grant.estimate.cost;
  call.admission = Admission(pool, std::move(answer.grant), entry.weights);
  co_return std::nullopt;
}

// Until the pool has started the request: nullopt, and the waiter has the grant. A client that
// leaves is out of the queue at once.
io::Task<std::optional<policy::Refusal>> Gateway::WaitForTurn(Call& call,
                                                              std::shared_ptr<Pool> pool,
                                                              const Pool::Entry& entry) {
  PoolWaiter& waiter = *entry.waiter;
  const QueuePacer::Waits waits(pacer_, pool);
  const Status started =
      co_await waiter.started.Wait(Deadline::After(loop_.Now(), entry.queue_wait_max));
  if (started) co_return std::nullopt;
  const bool left = started.error().code == Code::kCancelled;
  call.disconnected = left;
  const auto refusal = left ? policy::Refusal::kNone : entry.wait_refusal;
  if (pool->Leave(waiter, refusal, loop_.Now())) co_return refusal;
  // It was started at this very moment.
  if (left) pool->Finish(std::move(waiter.grant), {.fate = Fate::kUnknown}, loop_.Now());
  co_return std::nullopt;
}

bool Gateway::MayTryAnother(const Call& call, const Error& error) const {
  const bool lost = error.code == Code::kUnavailable || error.code == Code::kUpstream ||
                    error.code == Code::kClosed;
  return lost && !call.exchange.head_sent();
}

io::Task<Status> Gateway::Send(Call& call) {
  ReplicaFields fields(call.approach->request_id, call.requester->key);
  const std::shared_ptr<Pool> pool = call.live->entities[call.entity].pool;
  std::vector<std::uint64_t> tried;  // In vain: none, as a rule.
  for (;;) {
    Pool::Upstream upstream = std::exchange(call.approach->upstream, {});
    if (upstream.origin == nullptr) upstream = pool->UpstreamOf(call.admission.replica());
    const auto& [origin, reads_headers] = upstream;
    Result<std::unique_ptr<http::ClientResponse>> response = nullptr;
    if (origin == nullptr) {
      response = Fail(Code::kUnavailable, "the replica is gone");
    } else {
      http::SendReport report;
      response = co_await client_.Send(
          *origin,
          {.method = "POST",
           .target = UpstreamPath(call.operation),
           .content_type = "application/json",
           .body = call.approach->body,
           .fields = fields.For(reads_headers, call.admission.grant(), loop_.RecentNow())},
          Deadline::After(loop_.RecentNow(), limits_.answer_wait_max), &report);
      call.approach->sent_at = report.sent ? report.sent_at : TimePoint{};
    }
    const bool may_retry = tried.size() + 1 < limits_.attempts_max;
    if (response) {
      const int status = (*response)->status();
      const bool busy = status == 429 || status == 503;
      call.response = *std::move(response);
      if (!busy || !may_retry) co_return Status();
      tried.push_back(call.admission.replica());
      if (!call.admission.Retry(tried, Fate::kBusy, loop_.Now())) co_return Status();
      call.response.reset();
    } else {
      const Error& error = response.error();
      if (!MayTryAnother(call, error) || !may_retry) co_return Fail(error);
      tried.push_back(call.admission.replica());
      if (!call.admission.Retry(tried, Fate::kFailed, loop_.Now())) co_return Fail(error);
    }
    MetricsOf(call.endpoint().name).FailedOver();
  }
}

// An upstream's answer that is perhaps not the last word, whole.
io::Task<Failure> Gateway::TakeAnswer(Call& call) {
  http::ClientResponse& response = *call.response;
  Failure failure;
  failure.status = response.status();
  failure.error.code = CodeOfHttpStatus(failure.status);
  failure.retry_after = ReadRetryFields(response.head().fields);
  auto body = co_await response.ReadAll(
      kErrorBytesMax, Deadline::After(loop_.RecentNow(), limits_.answer_stall_max));
  call.disconnected = !body && body.error().code == Code::kCancelled;
  if (body) {
    failure.body = *std::move(body);
  } else {
    failure.error.message = body.error().message;
  }
  call.response.reset();
  call.EndAdmission(failure.status >= 500 && failure.status != 503 ? Fate::kFailed : Fate::kGood);
  co_return failure;
}

}  // namespace penstock::gateway
